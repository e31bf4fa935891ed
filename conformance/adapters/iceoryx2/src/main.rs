//! `iceoryx2` as an adapter: publish-subscribe from one publisher to one subscriber, requests that
//! are answered, and events.

mod events;
mod requests;

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use iceoryx2::config::Config;
use iceoryx2::node::{Node, NodeBuilder};
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::{BackpressureAction, LoanError, SendError};
use iceoryx2::prelude::{FileName, Path, SemanticString, SignalHandlingMode};
use iceoryx2::service::builder::Builder;
use iceoryx2::service::ipc_threadsafe::Service;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use ipc_conformance::adapter::{
    Adapter, Address, Claim, Created, Delivery, Endpoint, Failure, Parcel, Place, Role, ends,
};
use ipc_model::{Capacity, Holders, Modes, Notice, Process, Profile, Size};

/// How many samples the subscriber's buffer holds.
const CAPACITY: usize = 2;

/// The longest slice that can be loaned.
const LARGEST: usize = 256;

struct Iceoryx2;

/// A process's node, and the service of this kind that it has opened.
struct Link<S> {
    service: S,
    _node: Node<Service>,
}

/// The service of publish-subscribe.
type Samples = PortFactory<Service, [u8], ()>;

/// Every link has files and shared memory of its own, under the prefix that ends this path: they
/// are removed when it is dropped.
struct Made {
    name: String,
    path: PathBuf,
    /// A node and its service, so that there is one before the ends come.
    held: Option<Box<dyn Any>>,
}

struct Tx {
    publisher: Publisher<Service, [u8], ()>,
    /// How many nanoseconds the current send may wait for room.
    patience: Arc<AtomicU64>,
    _link: Link<Samples>,
}

struct Rx {
    subscriber: Subscriber<Service, [u8], ()>,
    _link: Link<Samples>,
}

impl Adapter for Iceoryx2 {
    fn name(&self) -> String {
        "iceoryx2".into()
    }

    fn version(&self) -> String {
        ipc_conformance::version_of("iceoryx2", include_str!("../../../../Cargo.lock"))
    }

    fn claims(&self) -> Vec<Claim> {
        let profile = Profile {
            capacity: Capacity::Bounded(CAPACITY as u32),
            size: Size::UpTo(LARGEST as u32),
            senders: Holders::One,
            receivers: Holders::One,
            receive: Modes { blocking: false, nonblocking: true, timed: false },
            sender_closed: Notice::Silent,
            ..Profile::default()
        };
        vec![
            Claim::between_processes("publish-subscribe", profile)
                .documented("subscriber_max_buffer_size: how many samples a subscriber can store")
                .documented("BackpressureStrategy::RetryUntilDelivered: until there is space again")
                .documented("BackpressureAction::DiscardDataAndFail: an error if not delivered")
                .documented("BackpressureInfo::elapsed_time: since the first retry, for a deadline")
                .documented("LoanError::ExceedsMaxLoanSize: beyond the configured slice size")
                .documented("SampleMut::send: how many subscribers got it, so 0 if none is left")
                .documented("Subscriber::receive: none if no sample could be received"),
            requests::claim("request-response"),
            events::claim("event"),
        ]
    }

    fn create(&self, link: &str, place: &Place) -> Result<Box<dyn Created>, Failure> {
        let path = path(place);
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(Failure::other)?;
        let held: Box<dyn Any> = match link {
            "request-response" => Box::new(requests::open(&path)?),
            "event" => Box::new(events::open(&path)?),
            _ => Box::new(open(&path)?),
        };
        Ok(Box::new(Made { name: link.into(), path, held: Some(held) }))
    }

    fn connect(
        &self,
        link: &str,
        address: &Address,
        role: Role,
    ) -> Result<Box<dyn Endpoint>, Failure> {
        let path = address.text.as_ref();
        match link {
            "request-response" => requests::connect(path, role),
            "event" => events::connect(path, role),
            _ => ends(role, || Tx::new(open(path)?), || Rx::new(open(path)?)),
        }
    }

    fn remove(&self, link: &str, place: &Place) {
        drop(Made { name: link.into(), path: path(place), held: None });
    }
}

/// In a folder of the link's own, of the same name; short, as it goes into the paths of sockets.
fn path(place: &Place) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    place.name.hash(&mut hasher);
    let name = format!("i{:08x}", hasher.finish() as u32);
    place.folder.join(&name).join(name)
}

/// Files go into the folder of the path, and everything is called after its last part.
fn config(path: &std::path::Path) -> Result<Config, Failure> {
    let (folder, name) = path.parent().zip(path.file_name()).expect("a name in a folder");
    let mut config = Config::default();
    let root = Path::new(folder.as_os_str().as_encoded_bytes()).map_err(Failure::other)?;
    config.global.set_root_path(&root);
    // What starts with `1` must not be mistaken for what starts with `10`.
    let prefix = [name.as_encoded_bytes(), b"."].concat();
    config.global.prefix = FileName::new(&prefix).map_err(Failure::other)?;
    Ok(config)
}

impl<S> Link<S> {
    /// A node of this process, and the service that is opened with its builder.
    fn open(
        path: &std::path::Path,
        service: impl FnOnce(Builder<Service>) -> Result<S, Failure>,
    ) -> Result<Self, Failure> {
        let node = NodeBuilder::new()
            .config(&config(path)?)
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<Service>()
            .map_err(Failure::other)?;
        let name = "link".try_into().map_err(Failure::other)?;
        Ok(Self { service: service(node.service_builder(&name))?, _node: node })
    }
}

fn open(path: &std::path::Path) -> Result<Link<Samples>, Failure> {
    Link::open(path, |builder| {
        let builder = builder.publish_subscribe::<[u8]>().enable_safe_overflow(false);
        builder.subscriber_max_buffer_size(CAPACITY).open_or_create().map_err(Failure::other)
    })
}

impl Created for Made {
    fn endpoint(&mut self, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
        Iceoryx2.connect(&self.name.clone(), &self.address(role)?, role)
    }

    fn address(&mut self, _: Role) -> Result<Address, Failure> {
        Ok(Address::named(self.path.to_string_lossy()))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.held = None;
        // The registry of nodes stays behind, and whatever killed processes held: the files are in
        // a folder of their own, the shared memory is known by its prefix. Where it fails, it is
        // not there any more.
        let _ = self.path.parent().map(std::fs::remove_dir_all);
        let name = self.path.file_name().expect("a name in a folder").as_encoded_bytes();
        let prefix = [name, b"."].concat();
        for object in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if object.file_name().as_encoded_bytes().starts_with(&prefix) {
                let _ = std::fs::remove_file(object.path());
            }
        }
    }
}

impl Tx {
    fn new(link: Link<Samples>) -> Result<Self, Failure> {
        let patience = Arc::new(AtomicU64::new(0));
        let limit = Arc::clone(&patience);
        let publisher = link
            .service
            .publisher_builder()
            .initial_max_slice_len(LARGEST)
            .set_backpressure_handler(move |info| {
                let limit = Duration::from_nanos(limit.load(Ordering::Relaxed));
                if info.elapsed_time < limit {
                    BackpressureAction::Retry
                } else {
                    BackpressureAction::DiscardDataAndFail
                }
            })
            .create()
            .map_err(Failure::other)?;
        Ok(Self { publisher, patience, _link: link })
    }

    fn call(&self, bytes: &[u8], patience: Duration, busy: Failure) -> Result<(), Failure> {
        let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        self.patience.store(patience, Ordering::Relaxed);
        let sample = self.publisher.loan_slice_uninit(bytes.len()).map_err(|e| match e {
            LoanError::ExceedsMaxLoanSize => Failure::TooBig,
            error => Failure::other(error),
        })?;
        match sample.write_from_slice(bytes).send() {
            Ok(0) => Err(Failure::Closed),
            Ok(_) => Ok(()),
            Err(SendError::UnableToDeliver) => Err(busy),
            Err(error) => Err(Failure::other(error)),
        }
    }
}

impl Rx {
    fn new(link: Link<Samples>) -> Result<Self, Failure> {
        let subscriber = link.service.subscriber_builder().create().map_err(Failure::other)?;
        Ok(Self { subscriber, _link: link })
    }
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.call(parcel.bytes, Duration::MAX, Failure::Full)
    }

    fn try_send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        self.call(parcel.bytes, Duration::ZERO, Failure::Full)
    }

    fn send_timeout(&mut self, parcel: Parcel<'_>, timeout: Duration) -> Result<(), Failure> {
        self.call(parcel.bytes, timeout, Failure::Timeout)
    }
}

impl Endpoint for Rx {
    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let sample = self.subscriber.receive().map_err(Failure::other)?;
        sample.map(|sample| sample.payload().to_vec().into()).ok_or(Failure::Empty)
    }
}

fn main() -> ExitCode {
    ipc_conformance::main(&Iceoryx2)
}
