//! The bytes of a message: every byte follows from its name and length, so that a receiver can
//! tell which message it has, and whether it is whole.

use ipc_model::{Message, Process, Ret};

/// From this length on, a message carries its name.
const NAMED: usize = 8;

fn noise(message: &Message, index: usize) -> u8 {
    let seed = u64::from(message.sender.0) << 32 | u64::from(message.sequence);
    let mixed = (seed ^ (index as u64) << 17).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as u8 ^ index as u8
}

/// The bytes of this message.
pub fn bytes(message: &Message) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..message.size as usize).map(|i| noise(message, i)).collect();
    if bytes.len() >= NAMED {
        bytes[..2].copy_from_slice(&message.sender.0.to_le_bytes());
        bytes[2..6].copy_from_slice(&message.sequence.to_le_bytes());
    }
    bytes
}

/// What a receive that got these bytes was told, where `known` are the messages of the scenario.
///
/// Short messages carry no name, so they are looked for among those known of the same length;
/// where two could not be told apart, scenarios send only one of that length.
pub fn recognise(bytes: &[u8], known: &[Message]) -> Ret {
    if bytes.len() < NAMED {
        let fits = |m: &&Message| m.size as usize == bytes.len() && self::bytes(m) == bytes;
        return match known.iter().find(fits) {
            Some(message) => Ret::Received(*message),
            None => {
                let stranger = Message::new(u16::MAX, u32::MAX, bytes.len() as u32);
                let same_size = known.iter().find(|m| m.size as usize == bytes.len());
                Ret::Torn(same_size.copied().unwrap_or(stranger))
            }
        };
    }
    let sender = Process(u16::from_le_bytes([bytes[0], bytes[1]]));
    let sequence = u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    let named = Message { sender, sequence, size: bytes.len() as u32, priority: 0 };
    let Some(sent) = known.iter().find(|m| m.same_name(&named)) else {
        // Whole, but nobody's.
        let whole = self::bytes(&named) == bytes;
        return if whole { Ret::Received(named) } else { Ret::Torn(named) };
    };
    let arrived = Message { size: named.size, ..*sent };
    if arrived.size == sent.size && self::bytes(sent) != bytes {
        return Ret::Torn(arrived);
    }
    Ret::Received(arrived)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_recognised_and_a_flipped_byte_is_torn() {
        for size in [1, 2, 7, 8, 16, 4096] {
            let message = Message::new(3, 70_000, size);
            let mut sent = bytes(&message);
            assert_eq!(recognise(&sent, &[message]), Ret::Received(message));
            *sent.last_mut().unwrap() ^= 1;
            assert!(matches!(recognise(&sent, &[message]), Ret::Torn(_)), "{size}");
        }
    }

    #[test]
    fn the_empty_message_is_itself() {
        let message = Message::new(0, 1, 0);
        assert_eq!(recognise(&[], &[Message::new(0, 0, 8), message]), Ret::Received(message));
    }

    #[test]
    fn a_changed_length_is_received_with_the_length_it_has() {
        let message = Message::new(0, 0, 32);
        let cut = &bytes(&message)[..16];
        assert_eq!(recognise(cut, &[message]), Ret::Received(Message::new(0, 0, 16)));
    }
}
