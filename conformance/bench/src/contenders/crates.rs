//! Other people's links between processes, each used as its documentation shows.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use iceoryx2::config::Config;
use iceoryx2::node::{Node, NodeBuilder};
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{FileName, SemanticString, SignalHandlingMode, ipc};
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, bytes_channel};
use shmem_ipc::sharedring;

use super::by_size;
use super::ours::TOUCHED;
use crate::cell::{Sample, measure};
use crate::link::{Cell, Link, Receives, Sends};

/// iceoryx2's publish-subscribe, without overflow: the publisher waits for room. `IN_PLACE` fills
/// and reads 16 bytes of a loaned sample instead of copying the whole message.
pub(super) struct Iceoryx2<const IN_PLACE: bool> {
    cell: Cell,
}

type Service = PortFactory<ipc::Service, [u8], ()>;

pub(super) struct Publish<const IN_PLACE: bool> {
    publisher: Publisher<ipc::Service, [u8], ()>,
    _service: (Service, Node<ipc::Service>),
}

pub(super) struct Subscribe<const IN_PLACE: bool> {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    _service: (Service, Node<ipc::Service>),
}

impl<const IN_PLACE: bool> Iceoryx2<IN_PLACE> {
    fn open(&self) -> Result<(Service, Node<ipc::Service>)> {
        let mut config = Config::default();
        let root = self.cell.folder.as_os_str().as_encoded_bytes();
        let root = iceoryx2::prelude::Path::new(root).map_err(|e| anyhow!("{e:?}"))?;
        config.global.set_root_path(&root);
        let prefix = format!("{}.", self.cell.name);
        config.global.prefix = FileName::new(prefix.as_bytes()).map_err(|e| anyhow!("{e:?}"))?;
        let node = NodeBuilder::new()
            .config(&config)
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>()?;
        let service = node
            .service_builder(&"link".try_into()?)
            .publish_subscribe::<[u8]>()
            .enable_safe_overflow(false)
            .subscriber_max_buffer_size(self.cell.capacity)
            .open_or_create()?;
        Ok((service, node))
    }
}

impl<const IN_PLACE: bool> Link for Iceoryx2<IN_PLACE> {
    type Sender = Publish<IN_PLACE>;
    type Receiver = Subscribe<IN_PLACE>;

    fn make(cell: &Cell) -> Result<Self> {
        Ok(Self { cell: cell.clone() })
    }

    fn sender(&self) -> Result<Self::Sender> {
        let (service, node) = self.open()?;
        let publisher = service.publisher_builder().initial_max_slice_len(self.cell.size);
        Ok(Publish { publisher: publisher.create()?, _service: (service, node) })
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let (service, node) = self.open()?;
        let subscriber = service.subscriber_builder().create()?;
        Ok(Subscribe { subscriber, _service: (service, node) })
    }
}

impl<const IN_PLACE: bool> Sends for Publish<IN_PLACE> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<()> {
        // A full buffer that no subscriber has looked at yet lets a message fall, and says so by
        // this number: a subscriber connects when it first asks.
        while self.publish(message)? == 0 {}
        Ok(())
    }
}

impl<const IN_PLACE: bool> Publish<IN_PLACE> {
    #[inline]
    fn publish(&self, message: &[u8]) -> Result<usize> {
        let mut sample = self.publisher.loan_slice_uninit(message.len())?;
        let sample = if IN_PLACE {
            for (place, byte) in
                sample.payload_mut().iter_mut().zip(&message[..TOUCHED.min(message.len())])
            {
                place.write(*byte);
            }
            // SAFETY: shared memory is made of bytes that somebody has set, zeroes at first.
            unsafe { sample.assume_init() }
        } else {
            sample.write_from_slice(message)
        };
        Ok(sample.send()?)
    }
}

impl<const IN_PLACE: bool> Receives for Subscribe<IN_PLACE> {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        loop {
            if let Some(sample) = self.subscriber.receive()? {
                let length = if IN_PLACE { TOUCHED.min(buffer.len()) } else { buffer.len() };
                buffer[..length].copy_from_slice(&sample.payload()[..length]);
                return Ok(());
            }
            std::hint::spin_loop();
        }
    }
}

/// ipc-channel, for bytes: no serialisation.
pub(super) struct IpcChannel {
    ends: std::sync::Mutex<(Option<IpcBytesSender>, Option<IpcBytesReceiver>)>,
    spins: bool,
}

pub(super) struct IpcChannelRx(IpcBytesReceiver, bool);

impl Link for IpcChannel {
    type Sender = IpcBytesSender;
    type Receiver = IpcChannelRx;

    fn make(cell: &Cell) -> Result<Self> {
        let (sender, receiver) = bytes_channel()?;
        Ok(Self { ends: (Some(sender), Some(receiver)).into(), spins: cell.spins() })
    }

    fn sender(&self) -> Result<IpcBytesSender> {
        let mut ends = self.ends.lock().map_err(|e| anyhow!("{e}"))?;
        ends.0.take().context("the sender is taken")
    }

    fn receiver(&self) -> Result<IpcChannelRx> {
        let mut ends = self.ends.lock().map_err(|e| anyhow!("{e}"))?;
        ends.1.take().map(|end| IpcChannelRx(end, self.spins)).context("the receiver is taken")
    }
}

impl Sends for IpcBytesSender {
    fn send(&mut self, message: &[u8]) -> Result<()> {
        Ok(IpcBytesSender::send(self, message)?)
    }
}

impl Receives for IpcChannelRx {
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        let message = if self.1 {
            loop {
                match self.0.try_recv() {
                    Ok(message) => break message,
                    Err(TryRecvError::Empty) => std::hint::spin_loop(),
                    Err(other) => return Err(anyhow!("{other:?}")),
                }
            }
        } else {
            self.0.recv().map_err(|e| anyhow!("{e:?}"))?
        };
        buffer.copy_from_slice(&message);
        Ok(())
    }
}

/// ipmpsc: a ring in a mapped file, here in memory, with a lock; a message is read where it is.
pub(super) struct Ipmpsc {
    path: PathBuf,
    spins: bool,
}

pub(super) struct IpmpscTx(ipmpsc::Sender);

pub(super) struct IpmpscRx(ipmpsc::Receiver, bool);

impl Ipmpsc {
    fn open(&self) -> Result<ipmpsc::SharedRingBuffer> {
        let path = self.path.to_string_lossy();
        ipmpsc::SharedRingBuffer::open(&path).map_err(|e| anyhow!("{e:?}"))
    }
}

impl Link for Ipmpsc {
    type Sender = IpmpscTx;
    type Receiver = IpmpscRx;

    fn make(cell: &Cell) -> Result<Self> {
        let path = Path::new("/dev/shm").join(&cell.name);
        // In front of a message stands its length, once in the ring and once in its encoding.
        let bytes = cell.capacity * (cell.size + 16);
        ipmpsc::SharedRingBuffer::create(&path.to_string_lossy(), u32::try_from(bytes)?)
            .map_err(|e| anyhow!("{e:?}"))?;
        Ok(Self { path, spins: cell.spins() })
    }

    fn sender(&self) -> Result<IpmpscTx> {
        Ok(IpmpscTx(ipmpsc::Sender::new(self.open()?)))
    }

    fn receiver(&self) -> Result<IpmpscRx> {
        Ok(IpmpscRx(ipmpsc::Receiver::new(self.open()?), self.spins))
    }

    fn attached(&self) {
        // Where it fails, the file is gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Ipmpsc {
    fn drop(&mut self) {
        self.attached();
    }
}

impl Sends for IpmpscTx {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.0.send(&serde_bytes::Bytes::new(message)).map_err(|e| anyhow!("{e:?}"))
    }
}

impl Receives for IpmpscRx {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut context = self.0.zero_copy_context();
        if !self.1 {
            let message: &[u8] = context.recv().map_err(|e| anyhow!("{e:?}"))?;
            buffer.copy_from_slice(message);
            return Ok(());
        }
        loop {
            let message: Option<&[u8]> = context.try_recv().map_err(|e| anyhow!("{e:?}"))?;
            if let Some(message) = message {
                buffer.copy_from_slice(message);
                return Ok(());
            }
            std::hint::spin_loop();
        }
    }
}

by_size!(shmem_ipc, ShmemIpc);

/// shmem-ipc's ring of items of one size.
pub(super) struct ShmemIpc<const N: usize> {
    files: [File; 3],
    capacity: usize,
    spins: bool,
}

pub(super) struct ShmemIpcTx<const N: usize>(sharedring::Sender<[u8; N]>);

pub(super) struct ShmemIpcRx<const N: usize>(sharedring::Receiver<[u8; N]>, bool);

impl<const N: usize> ShmemIpc<N> {
    fn files(&self) -> Result<[File; 3]> {
        let [memory, not_empty, not_full] = &self.files;
        Ok([memory.try_clone()?, not_empty.try_clone()?, not_full.try_clone()?])
    }
}

impl<const N: usize> Link for ShmemIpc<N> {
    type Sender = ShmemIpcTx<N>;
    type Receiver = ShmemIpcRx<N>;

    fn make(cell: &Cell) -> Result<Self> {
        let made = sharedring::Sender::<[u8; N]>::new(cell.capacity);
        let made = made.map_err(|e| anyhow!("{e:?}"))?;
        let [memory, not_empty, not_full] =
            [made.memfd().as_file(), made.empty_signal(), made.full_signal()].map(File::try_clone);
        let files = [memory?, not_empty?, not_full?];
        Ok(Self { files, capacity: cell.capacity, spins: cell.spins() })
    }

    fn sender(&self) -> Result<Self::Sender> {
        let [memory, not_empty, not_full] = self.files()?;
        let sender = sharedring::Sender::open(self.capacity, memory, not_empty, not_full);
        sender.map(ShmemIpcTx).map_err(|e| anyhow!("{e:?}"))
    }

    fn receiver(&self) -> Result<Self::Receiver> {
        let [memory, not_empty, not_full] = self.files()?;
        let receiver = sharedring::Receiver::open(self.capacity, memory, not_empty, not_full);
        receiver.map(|end| ShmemIpcRx(end, self.spins)).map_err(|e| anyhow!("{e:?}"))
    }
}

impl<const N: usize> Sends for ShmemIpcTx<N> {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Result<()> {
        loop {
            let mut sent = false;
            let put = |place: *mut [u8; N], _| {
                // SAFETY: the ring lends room for an item of N bytes to this, its only sender,
                // and messages are as long.
                unsafe { std::ptr::copy_nonoverlapping(message.as_ptr(), place.cast(), N) };
                sent = true;
                1
            };
            self.0.send_raw(put).map_err(|e| anyhow!("{e:?}"))?;
            if sent {
                return Ok(());
            }
            self.0.block_until_writable().map_err(|e| anyhow!("{e:?}"))?;
        }
    }
}

impl<const N: usize> Receives for ShmemIpcRx<N> {
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        loop {
            let mut received = false;
            let take = |place: *const [u8; N], _| {
                // SAFETY: the ring lends an item of N bytes to this, its only receiver, and the
                // buffer is as long.
                unsafe { std::ptr::copy_nonoverlapping(place.cast(), buffer.as_mut_ptr(), N) };
                received = true;
                1
            };
            self.0.receive_raw(take).map_err(|e| anyhow!("{e:?}"))?;
            if received {
                return Ok(());
            }
            if self.1 {
                std::hint::spin_loop();
            } else {
                self.0.block_until_readable().map_err(|e| anyhow!("{e:?}"))?;
            }
        }
    }
}
