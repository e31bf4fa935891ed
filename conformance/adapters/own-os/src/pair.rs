//! Links that are two descriptors: one to send through, the other to receive through.

use std::os::fd::{AsRawFd, OwnedFd};

use ipc_conformance::adapter::{Address, Created, Endpoint, Failure, Role, ends};
use ipc_conformance::descriptors::inherited;
use ipc_impls::links::{pipe, tcp, unix};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};

use crate::end::{Rx, Tx};
use crate::{LONG, LONG_PIPE, LONGEST, PIPE};

/// What the two descriptors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    Pipe,
    LongPipe,
    Seqpacket,
    Dgram,
    Stream,
    Tcp,
}

/// Buffers in which a few messages of the longest length have room.
const BUFFER: usize = 8 * LONGEST;

struct Made {
    pair: Pair,
    /// To send and to receive through, until they are handed over.
    descriptors: Option<(OwnedFd, OwnedFd)>,
}

impl Pair {
    pub(crate) fn create(self) -> Result<Box<dyn Created>, Failure> {
        let descriptors = match self {
            Pair::Pipe => pipe(PIPE)?,
            Pair::LongPipe => pipe(LONG_PIPE)?,
            Pair::Seqpacket => socket(SockType::SeqPacket)?,
            Pair::Dgram => socket(SockType::Datagram)?,
            Pair::Stream => socket(SockType::Stream)?,
            Pair::Tcp => connection()?,
        };
        Ok(Box::new(Made { pair: self, descriptors: Some(descriptors) }))
    }

    pub(crate) fn connect(
        self,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let mut descriptors = inherited(address);
        let mut next = || descriptors.next().ok_or_else(|| Failure::other("one is missing"));
        let send = if role.sends { Some(next()?) } else { None };
        let receive = if role.receives { Some(next()?) } else { None };
        self.open(role, send, receive)
    }

    fn open(
        self,
        role: Role,
        send: Option<OwnedFd>,
        receive: Option<OwnedFd>,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let missing = || Failure::other("the end has been handed over");
        macro_rules! open {
            ($longest:expr, |$from:ident| $sender:expr, |$to:ident| $receiver:expr) => {
                ends(
                    role,
                    || {
                        let $from = send.ok_or_else(missing)?;
                        $sender.map(Tx).map_err(Failure::other)
                    },
                    || {
                        let $to = receive.ok_or_else(missing)?;
                        let receiver = $receiver.map_err(Failure::other)?;
                        Ok(Rx::new(receiver, $longest))
                    },
                )
            };
        }
        let fine = Ok::<_, Failure>;
        match self {
            Pair::Pipe | Pair::LongPipe => {
                let longest = if self == Pair::Pipe { PIPE.longest } else { LONG };
                open!(longest, |fd| pipe::Sender::adopt(fd, longest), |fd| pipe::Receiver::adopt(
                    fd, longest
                ))
            }
            Pair::Seqpacket => {
                open!(LONGEST, |fd| unix::Seqpacket::sender(fd, LONGEST), |fd| fine(
                    unix::Seqpacket::receiver(fd, LONGEST)
                ))
            }
            Pair::Dgram => open!(LONGEST, |fd| unix::Dgram::sender(fd, LONGEST), |fd| fine(
                unix::Dgram::receiver(fd, LONGEST)
            )),
            Pair::Stream => {
                open!(LONGEST, |fd| unix::Stream::sender(fd, LONGEST), |fd| unix::Stream::receiver(
                    fd, LONGEST
                ))
            }
            Pair::Tcp => open!(
                LONGEST,
                |fd| tcp::Connection::adopt(fd, LONGEST).map(tcp::Connection::sender),
                |fd| tcp::Connection::adopt(fd, LONGEST).map(tcp::Connection::receiver)
            ),
        }
    }
}

fn pipe(options: pipe::Options) -> Result<(OwnedFd, OwnedFd), Failure> {
    let pipe = pipe::Pipe::anonymous(options).map_err(Failure::other)?;
    let copy = |side: std::os::fd::BorrowedFd<'_>| side.try_clone_to_owned();
    let write = copy(pipe.write_side()).map_err(Failure::other)?;
    Ok((write, copy(pipe.read_side()).map_err(Failure::other)?))
}

fn socket(kind: SockType) -> Result<(OwnedFd, OwnedFd), Failure> {
    let pair = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC);
    let (send, receive) = pair.map_err(Failure::other)?;
    setsockopt(&send, sockopt::SndBuf, &BUFFER).map_err(Failure::other)?;
    Ok((send, receive))
}

fn connection() -> Result<(OwnedFd, OwnedFd), Failure> {
    let listener = tcp::Listener::bind("127.0.0.1:0", LONGEST).map_err(Failure::other)?;
    // What is accepted inherits it.
    setsockopt(&listener, sockopt::RcvBuf, &BUFFER).map_err(Failure::other)?;
    let address = listener.address().map_err(Failure::other)?;
    let send = std::net::TcpStream::connect(address).map_err(Failure::other)?;
    setsockopt(&send, sockopt::SndBuf, &BUFFER).map_err(Failure::other)?;
    let receive = listener.accept().map_err(Failure::other)?;
    let receive = std::os::fd::AsFd::as_fd(&receive).try_clone_to_owned();
    Ok((send.into(), receive.map_err(Failure::other)?))
}

impl Created for Made {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        let Some((send, receive)) = &self.descriptors else {
            return Err(Failure::other("the ends have been handed over"));
        };
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(Failure::other);
        self.pair.open(role, Some(copy(send)?), Some(copy(receive)?))
    }

    fn address(&mut self, role: Role) -> Result<Address, Failure> {
        let Some((send, receive)) = &self.descriptors else {
            return Err(Failure::other("the ends have been handed over"));
        };
        let send = role.sends.then(|| send.as_raw_fd());
        let receive = role.receives.then(|| receive.as_raw_fd());
        Ok(Address::inherited(&send.into_iter().chain(receive).collect::<Vec<_>>()))
    }

    fn hand_over(&mut self) {
        self.descriptors = None;
    }
}
