//! The profiles and the calls that the scenarios are made of.

use ipc_model::namespace::{Access, Creation, Namespace, OddNames, Op, Recreation, Withdrawal};

/// What POSIX promises, with short names and small mailboxes.
pub(crate) const POSIX: Namespace = Namespace {
    longest: 3,
    odd_names: OddNames::Unspecified,
    recreation: Recreation::MayFail,
    places: 2,
    withdrawal: Withdrawal::OfItsHandle,
};
/// What a strict system promises, and Linux on closing.
pub(crate) const STRICT: Namespace = Namespace {
    longest: 3,
    odd_names: OddNames::Refused,
    recreation: Recreation::Succeeds,
    places: 2,
    withdrawal: Withdrawal::OfAnyHandle,
};

pub(crate) fn open_as(name: &str, creation: Creation, access: Access, mode: u16, handle: u8) -> Op {
    Op::Open { name: name.into(), creation, access, mode, handle }
}

pub(crate) fn create(name: &str, handle: u8) -> Op {
    open_as(name, Creation::Exclusive, Access::Both, 0o600, handle)
}

pub(crate) fn create_or_open(name: &str, handle: u8) -> Op {
    open_as(name, Creation::OrOpen, Access::Both, 0o600, handle)
}

pub(crate) fn open(name: &str, handle: u8) -> Op {
    open_as(name, Creation::Never, Access::Both, 0, handle)
}

pub(crate) fn unlink(name: &str) -> Op {
    Op::Unlink { name: name.into() }
}

pub(crate) fn put(handle: u8, value: u32) -> Op {
    Op::Put { handle, value }
}

pub(crate) fn take(handle: u8) -> Op {
    Op::Take { handle }
}

pub(crate) fn close(handle: u8) -> Op {
    Op::Close { handle }
}

pub(crate) fn wait(handle: u8) -> Op {
    Op::Wait { handle }
}

pub(crate) fn notify(handle: u8) -> Op {
    Op::Notify { handle }
}

pub(crate) fn forget(handle: u8) -> Op {
    Op::Forget { handle }
}
