//! What a link claims: the point it takes in the text's space of links (statement L5).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How the two sides refer to each other (statements N1 to N5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addressing {
    /// Indirect: messages are put into a mailbox and taken out of it.
    #[default]
    Mailbox,
    /// Direct; the sender names the recipient and the recipient names the sender.
    Symmetric,
    /// Direct; the sender names the recipient, who learns from whom the message came.
    Asymmetric,
}

/// How many messages may wait in the link (statements B2 to B7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Capacity {
    /// None: send and receive take effect together.
    Zero,
    /// Exactly this many, at least 1.
    Bounded(u32),
    /// Some finite number that the link does not state in messages (bytes, kernel accounting),
    /// but at least this many of the largest size: a full answer below it is wrong, above it
    /// legal.
    AtLeast(u32),
    /// Any number.
    #[default]
    Unbounded,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum CapacityText {
    Number(u32),
    Word(String),
    AtLeast { at_least: u32 },
}

impl Serialize for Capacity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Capacity::Zero => CapacityText::Number(0),
            Capacity::Bounded(n) => CapacityText::Number(n),
            Capacity::AtLeast(at_least) => CapacityText::AtLeast { at_least },
            Capacity::Unbounded => CapacityText::Word("unbounded".into()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Capacity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a capacity is 0, a number of messages, \"unbounded\", or {\"at_least\": n}";
        match CapacityText::deserialize(deserializer)
            .map_err(|_| serde::de::Error::custom(expected))?
        {
            CapacityText::Number(0) => Ok(Capacity::Zero),
            CapacityText::Number(n) => Ok(Capacity::Bounded(n)),
            CapacityText::AtLeast { at_least } => Ok(Capacity::AtLeast(at_least)),
            CapacityText::Word(word) if word == "unbounded" => Ok(Capacity::Unbounded),
            CapacityText::Word(word) => {
                Err(serde::de::Error::custom(format!("{expected}, not {word:?}")))
            }
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capacity::Zero => write!(f, "0"),
            Capacity::Bounded(n) => write!(f, "{n}"),
            Capacity::AtLeast(n) => write!(f, "≥{n}"),
            Capacity::Unbounded => write!(f, "unbounded"),
        }
    }
}

/// Which lengths of message the link takes, in bytes (statement L4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// This one only.
    Fixed(u32),
    /// Any from 0 up to this.
    UpTo(u32),
    /// Any from 1 up to this: the link has no empty messages.
    NonemptyUpTo(u32),
}

impl Default for Size {
    fn default() -> Self {
        Size::UpTo(1 << 20)
    }
}

/// In which order messages leave. The text is silent on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// One queue for all: first in, first out.
    #[default]
    Fifo,
    /// First in, first out among the messages of one sender; nothing between senders.
    PerSender,
    /// Highest priority first, and first in, first out within a priority (POSIX `mq_receive`).
    Priority,
    /// None.
    Unordered,
}

/// To whom a message goes: what kind of link it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// A queue: to one receiver, who takes it out.
    #[default]
    ToOne,
    /// A broadcast: to every receiver that holds an end when it is sent.
    ToEach,
    /// A state cell: to whoever reads, until the next one replaces it; reading leaves it there.
    Latest,
}

impl Distribution {
    /// Whether it is the queue of the text, which a profile does not mention.
    pub fn is_queue(&self) -> bool {
        *self == Distribution::ToOne
    }
}

/// How many processes may hold an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holders {
    /// One.
    One,
    /// Any number.
    #[default]
    Many,
}

/// Which kinds of call an end offers (statement Y1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Modes {
    /// `send`, `receive`.
    pub blocking: bool,
    /// `try_send`, `try_receive`.
    pub nonblocking: bool,
    /// `send_timeout`, `receive_timeout`.
    pub timed: bool,
}

impl Default for Modes {
    fn default() -> Self {
        Self { blocking: true, nonblocking: true, timed: true }
    }
}

impl Modes {
    /// Whether any call waits.
    pub fn waits(&self) -> bool {
        self.blocking || self.timed
    }

    /// Whether calls of this mode are offered.
    pub fn offers(&self, mode: crate::Mode) -> bool {
        match mode {
            crate::Mode::Blocking => self.blocking,
            crate::Mode::Nonblocking => self.nonblocking,
            crate::Mode::Timed => self.timed,
        }
    }
}

/// Whether one side is told when the last holder of the other side is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// It is: calls answer `closed`, after what waits has been drained.
    #[default]
    Reported,
    /// It is not: the link looks as if the other side were merely quiet.
    Silent,
}

/// What a link claims. Fields that a JSON text leaves out take the default: an unbounded FIFO
/// mailbox with every mode of call, whose closing and deaths are reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// How the sides refer to each other.
    pub addressing: Addressing,
    /// How many messages may wait.
    pub capacity: Capacity,
    /// Which lengths of message are taken.
    pub size: Size,
    /// In which order messages leave.
    pub order: Order,
    /// To whom a message goes.
    #[serde(skip_serializing_if = "Distribution::is_queue")]
    pub distribution: Distribution,
    /// How many processes may send.
    pub senders: Holders,
    /// How many processes may receive.
    pub receivers: Holders,
    /// The ways to send.
    pub send: Modes,
    /// The ways to receive.
    pub receive: Modes,
    /// What receivers learn when the last sender has closed.
    pub sender_closed: Notice,
    /// What senders learn when the last receiver has closed.
    pub receiver_closed: Notice,
    /// What receivers learn when the last sender was killed. `None`: the link makes no claim
    /// about killed processes (a link between threads).
    pub sender_killed: Option<Notice>,
    /// What senders learn when the last receiver was killed.
    pub receiver_killed: Option<Notice>,
}

/// Two switches of a profile that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the profile contradicts itself: {first} and {second}: {why}")]
pub struct Contradiction {
    /// One switch, as `field=value`.
    pub first: String,
    /// The other.
    pub second: String,
    /// Why they cannot both hold.
    pub why: &'static str,
}

impl Profile {
    /// A FIFO mailbox of this capacity, everything else as by default.
    pub fn mailbox(capacity: Capacity) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// Refuses a profile whose switches clash.
    ///
    /// # Errors
    /// Names the two switches and the reason.
    pub fn validate(&self) -> Result<(), Contradiction> {
        let clash = |first: &str, second: &str, why| {
            Err(Contradiction { first: first.into(), second: second.into(), why })
        };
        if self.capacity == Capacity::Zero && self.order == Order::Priority {
            return clash("capacity=0", "order=priority", "nothing waits that could be ordered");
        }
        if self.addressing == Addressing::Symmetric
            && (self.senders, self.receivers) != (Holders::One, Holders::One)
        {
            let ends = if self.senders == Holders::Many { "senders" } else { "receivers" };
            let why = "a symmetric direct link joins exactly one pair";
            return clash("addressing=symmetric", &format!("{ends}=many"), why);
        }
        if self.addressing == Addressing::Asymmetric && self.receivers == Holders::Many {
            let why = "each recipient has a link of its own";
            return clash("addressing=asymmetric", "receivers=many", why);
        }
        self.validate_distribution()?;
        if let Capacity::AtLeast(0) = self.capacity {
            return clash("capacity=at_least", "at_least=0", "a link that may be full when empty");
        }
        if let Capacity::Bounded(0) = self.capacity {
            return clash("capacity=bounded", "bounded=0", "a link without a buffer is capacity=0");
        }
        if let Size::NonemptyUpTo(0) = self.size {
            let why = "there is no length that it takes";
            return clash("size=nonempty-up-to", "nonempty-up-to=0", why);
        }
        if self.capacity == Capacity::Zero && !self.send.waits() && !self.receive.waits() {
            let why = "nothing waits in the link, and nobody waits at it, so nothing ever arrives";
            return clash("capacity=0", "send.blocking=receive.blocking=false", why);
        }
        if !(self.send.blocking || self.send.nonblocking || self.send.timed) {
            return clash("send.blocking=false", "send.nonblocking=false", "nothing can be sent");
        }
        if !(self.receive.blocking || self.receive.nonblocking || self.receive.timed) {
            let why = "nothing can be received";
            return clash("receive.blocking=false", "receive.nonblocking=false", why);
        }
        Ok(())
    }

    fn validate_distribution(&self) -> Result<(), Contradiction> {
        let clash = |first: &str, second: &str, why| {
            Err(Contradiction { first: first.into(), second: second.into(), why })
        };
        // The value as a profile is written in JSON.
        let set = |field: &str, value: serde_json::Result<serde_json::Value>| {
            let value = value.unwrap_or_default();
            format!("{field}={}", value.as_str().map_or(value.to_string(), str::to_owned))
        };
        let name = match self.distribution {
            Distribution::ToOne => return Ok(()),
            Distribution::ToEach => "distribution=to-each",
            Distribution::Latest => "distribution=latest",
        };
        if self.addressing != Addressing::Mailbox {
            let addressing = set("addressing", serde_json::to_value(self.addressing));
            return clash(name, &addressing, "a direct link has one recipient");
        }
        if self.capacity == Capacity::Zero {
            return clash(name, "capacity=0", "there is nowhere to keep it for the others");
        }
        if self.distribution == Distribution::ToEach {
            return Ok(());
        }
        if self.capacity != Capacity::Bounded(1) {
            let capacity = set("capacity", serde_json::to_value(self.capacity));
            return clash(name, &capacity, "a state cell holds one value: 1");
        }
        if self.receive != (Modes { blocking: false, nonblocking: true, timed: false }) {
            let Modes { blocking, timed, .. } = self.receive;
            let mode = match (blocking, timed) {
                (true, _) => "receive.blocking=true",
                (_, true) => "receive.timed=true",
                _ => "receive.nonblocking=false",
            };
            return clash(name, mode, "a state cell is read, which never waits: nonblocking");
        }
        let ends = [
            ("sender_closed", Some(self.sender_closed)),
            ("receiver_closed", Some(self.receiver_closed)),
            ("sender_killed", self.sender_killed),
            ("receiver_killed", self.receiver_killed),
        ];
        match ends.iter().find(|(_, notice)| *notice == Some(Notice::Reported)) {
            Some((end, notice)) => {
                let end = set(end, serde_json::to_value(notice));
                clash(name, &end, "the value stays, whoever has gone: silent")
            }
            None => Ok(()),
        }
    }

    /// Reads a profile: a JSON object, or one of the short names `unbounded`, `rendezvous`,
    /// `bounded:N`.
    ///
    /// # Errors
    /// What is wrong with the text, and what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let profile = match text.trim() {
            "unbounded" => Self::mailbox(Capacity::Unbounded),
            "rendezvous" => Self::mailbox(Capacity::Zero),
            json if json.starts_with('{') => {
                serde_json::from_str(json).map_err(|e| format!("not a profile: {e}"))?
            }
            other => match other.strip_prefix("bounded:").map(str::parse) {
                Some(Ok(n)) if n > 0 => Self::mailbox(Capacity::Bounded(n)),
                _ => {
                    return Err(format!(
                        "{other:?} is no profile; give `unbounded`, `rendezvous`, `bounded:N` \
                         (N ≥ 1), or a JSON object such as {{\"capacity\":4,\"order\":\"fifo\"}}"
                    ));
                }
            },
        };
        profile.validate().map_err(|e| e.to_string())?;
        Ok(profile)
    }

    /// The length of message that scenarios use unless they are about lengths. On a link that
    /// counts its capacity in bytes it is the largest, so that few messages fill it.
    pub fn usual_size(&self) -> u32 {
        match (self.size, self.capacity) {
            (Size::Fixed(n), _) => n,
            (Size::UpTo(n) | Size::NonemptyUpTo(n), Capacity::AtLeast(_)) => n.min(64 * 1024),
            (Size::UpTo(n) | Size::NonemptyUpTo(n), _) => n.min(16),
        }
    }

    /// Whether a message of this length is taken at all.
    pub fn takes_size(&self, size: u32) -> bool {
        match self.size {
            Size::Fixed(n) => size == n,
            Size::UpTo(n) => size <= n,
            Size::NonemptyUpTo(n) => 0 < size && size <= n,
        }
    }
}
