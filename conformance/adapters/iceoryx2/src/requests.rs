//! Requests, from one client to one server: a send is a request and waits for its response, a receive
//! takes the request and responds. Nothing is left waiting in the link: a rendezvous.

use std::path::Path;
use std::time::Duration;

use iceoryx2::port::LoanError;
use iceoryx2::port::client::Client;
use iceoryx2::port::server::Server;
use iceoryx2::service::ipc_threadsafe::Service;
use iceoryx2::service::port_factory::request_response::PortFactory;
use ipc_conformance::adapter::{Claim, Delivery, Endpoint, Failure, Parcel, Role, ends};
use ipc_model::{Capacity, Holders, Modes, Notice, Process, Profile, Size};

use crate::{LARGEST, Link};

type Requests = PortFactory<Service, [u8], (), u8, ()>;

/// Between two looks for a response.
const LOOK: Duration = Duration::from_micros(50);

struct Tx {
    client: Client<Service, [u8], (), u8, ()>,
    _link: Link<Requests>,
}

struct Rx {
    server: Server<Service, [u8], (), u8, ()>,
    _link: Link<Requests>,
}

pub(crate) fn claim(link: &str) -> Claim {
    let profile = Profile {
        size: Size::UpTo(LARGEST as u32),
        senders: Holders::One,
        receivers: Holders::One,
        send: Modes { blocking: true, nonblocking: false, timed: false },
        receive: Modes { blocking: false, nonblocking: true, timed: false },
        sender_closed: Notice::Silent,
        ..Profile::mailbox(Capacity::Zero)
    };
    Claim::between_processes(link, profile)
        .documented("PendingResponse::receive: the response to this request, once there is one")
        .documented("PendingResponse::is_connected: false once no server will respond")
        .documented("Server::receive: none if there is no request")
        .documented("LoanError::ExceedsMaxLoanSize: beyond the configured slice size")
}

pub(crate) fn open(path: &Path) -> Result<Link<Requests>, Failure> {
    Link::open(path, |builder| {
        let builder = builder.request_response::<[u8], u8>();
        builder.enable_safe_overflow_for_requests(false).open_or_create().map_err(Failure::other)
    })
}

pub(crate) fn connect(path: &Path, role: Role) -> Result<Box<dyn Endpoint>, Failure> {
    let sender = || {
        let link = open(path)?;
        let builder = link.service.client_builder().initial_max_slice_len(LARGEST);
        Ok(Tx { client: builder.create().map_err(Failure::other)?, _link: link })
    };
    let receiver = || {
        let link = open(path)?;
        let server = link.service.server_builder().create().map_err(Failure::other)?;
        Ok(Rx { server, _link: link })
    };
    ends(role, sender, receiver)
}

impl Endpoint for Tx {
    fn send(&mut self, parcel: Parcel<'_>) -> Result<(), Failure> {
        let request = self.client.loan_slice_uninit(parcel.bytes.len()).map_err(|e| match e {
            LoanError::ExceedsMaxLoanSize => Failure::TooBig,
            error => Failure::other(error),
        })?;
        let request = request.write_from_slice(parcel.bytes);
        let pending = request.send().map_err(|e| Failure::Other(format!("{e:?}")))?;
        loop {
            // Whether anybody will respond first: a response may come before the server goes.
            let connected = pending.is_connected();
            if pending.receive().map_err(Failure::other)?.is_some() {
                return Ok(());
            }
            if !connected {
                return Err(Failure::Closed);
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Endpoint for Rx {
    fn try_receive(&mut self, _: Option<Process>) -> Result<Delivery, Failure> {
        let request = self.server.receive().map_err(Failure::other)?.ok_or(Failure::Empty)?;
        let bytes = request.payload().to_vec();
        request.send_copy(0).map_err(Failure::other)?;
        Ok(bytes.into())
    }
}
