//! Messages on a stream of bytes: each has its length in front of it, in two bytes.

use std::io::{Error, ErrorKind, Read, Write};

use crate::adapter::Failure;

/// How many bytes the length takes.
pub const HEADER: usize = size_of::<u16>();

/// The message as a frame.
///
/// # Errors
/// [`Failure::TooBig`] if it is larger than `largest`, or than a frame can be.
pub fn frame(bytes: &[u8], largest: usize) -> Result<Vec<u8>, Failure> {
    let length = u16::try_from(bytes.len()).ok().filter(|_| bytes.len() <= largest);
    let length = length.ok_or(Failure::TooBig)?;
    Ok([&length.to_ne_bytes(), bytes].concat())
}

/// Writes the message as one frame, in one write where the stream takes it as a whole.
///
/// # Errors
/// [`Failure::TooBig`]; `busy` where the stream would have to wait.
pub fn write(
    stream: &mut impl Write,
    bytes: &[u8],
    largest: usize,
    busy: Failure,
) -> Result<(), Failure> {
    stream.write_all(&frame(bytes, largest)?).map_err(|error| failure(error, busy))
}

/// Reads one frame.
///
/// # Errors
/// `busy` where the stream would have to wait; [`Failure::Closed`] at its end.
pub fn read(stream: &mut impl Read, busy: Failure) -> Result<Vec<u8>, Failure> {
    let length = length(stream, busy)?;
    rest(stream, length)
}

/// Reads what follows the length of a frame, and has come with it.
///
/// # Errors
/// If the stream ends, or has to wait, in the middle of the frame.
pub fn rest(stream: &mut impl Read, length: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).map_err(Failure::other)?;
    Ok(bytes)
}

/// Reads the length of the frame that comes next.
///
/// # Errors
/// `busy` where that would have to wait; [`Failure::Closed`] at the end of the stream.
pub fn length(stream: &mut impl Read, busy: Failure) -> Result<usize, Failure> {
    let mut length = [0; HEADER];
    let read = loop {
        match stream.read(&mut length) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) => return Err(Failure::Closed),
            read => break read.map_err(|error| failure(error, busy))?,
        }
    };
    stream.read_exact(&mut length[read..]).map_err(Failure::other)?;
    Ok(u16::from_ne_bytes(length).into())
}

fn failure(error: Error, busy: Failure) -> Failure {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => busy,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Failure::Closed,
        _ => Failure::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_then_comes_the_end() {
        let mut stream = Vec::new();
        for message in [&b"one"[..], b"", b"two"] {
            write(&mut stream, message, 3, Failure::Full).unwrap();
        }
        assert_eq!(write(&mut stream, b"four", 3, Failure::Full), Err(Failure::TooBig));
        let stream = &mut &stream[..];
        let mut next = || read(stream, Failure::Empty);
        assert_eq!([next(), next(), next()], [Ok(b"one".into()), Ok(vec![]), Ok(b"two".into())]);
        assert_eq!(next(), Err(Failure::Closed));
    }
}
