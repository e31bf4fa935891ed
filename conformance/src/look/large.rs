//! One message that is far longer than a stack or a buffer.

use std::sync::mpsc::channel;

use ipc_model::Message;

use super::{ENOUGH, Facts, Pair, receive, send};
use crate::adapter::Failure;
use crate::payload;

/// The stack of the threads that pass it, in bytes: a copy of the message on it is noticed.
const STACK: usize = 512 << 10;

impl Pair {
    /// Passes it from one thread to another.
    pub(super) fn large(mut self, bytes: u32) -> Result<Facts, Failure> {
        let (mut sender, mut receiver) =
            (self.sender.take().expect("made"), self.receiver.take().expect("made"));
        self.created.hand_over();
        let profile = self.profile;
        let sent = payload::bytes(&Message::new(0, 0, bytes));
        let expected = sent.clone();
        let (told, hears) = channel();
        let tells = told.clone();
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            let builder = std::thread::Builder::new().name(name.into()).stack_size(STACK);
            // It is not waited for: one that hangs ends with the process.
            builder.spawn(body).map(drop).map_err(Failure::other)
        };
        spawn(
            "sender",
            Box::new(move || {
                let result = send(&mut *sender, &profile, &sent).map_err(|e| format!("send: {e}"));
                // The looker may have given up.
                let _ = tells.send(result);
                drop(sender);
            }),
        )?;
        spawn(
            "receiver",
            Box::new(move || {
                let result = match receive(&mut *receiver, &profile) {
                    Ok(delivery) if delivery.bytes == expected => Ok(()),
                    Ok(delivery) => Err(format!(
                        "{} bytes arrived, and not those that were sent",
                        delivery.bytes.len()
                    )),
                    Err(failure) => Err(format!("receive: {failure}")),
                };
                let _ = told.send(result);
            }),
        )?;
        for _ in 0..2 {
            match hears.recv_timeout(ENOUGH) {
                Ok(Ok(())) => {}
                Ok(Err(why)) => return Ok(Facts::Large { why: Some(why) }),
                Err(_) => {
                    let why = format!("it did not arrive within {ENOUGH:?}");
                    return Ok(Facts::Large { why: Some(why) });
                }
            }
        }
        Ok(Facts::Large { why: None })
    }
}
