//! Crates whose channels are called as those of the standard library are, with errors of the same
//! names: an adapter says so, instead of translating every error.

/// A sending end with the calls `send` and `try_send`, and `send_timeout` where it is `timed`; its
/// errors are those of this module.
///
/// ```
/// use ipc_conformance::sends_like_std;
/// let (tx, rx) = std::sync::mpsc::sync_channel::<Vec<u8>>(1);
/// let sender = sends_like_std!(tx, std::sync::mpsc);
/// # let _: (ipc_conformance::calls::Sends<_>, _) = (sender, rx);
/// ```
#[macro_export]
macro_rules! sends_like_std {
    ($end:expr, $($errors:ident)::+) => {
        $crate::calls::Sends::through($end)
            .blocking(|end, bytes| {
                end.send(bytes.into()).map_err(|_| $crate::adapter::Failure::Closed)
            })
            .nonblocking(|end, bytes| {
                end.try_send(bytes.into()).map_err(|error| match error {
                    $($errors)::+::TrySendError::Full(_) => $crate::adapter::Failure::Full,
                    $($errors)::+::TrySendError::Disconnected(_) => {
                        $crate::adapter::Failure::Closed
                    }
                })
            })
    };
    ($end:expr, $($errors:ident)::+, timed) => {
        $crate::sends_like_std!($end, $($errors)::+).timed(|end, bytes, timeout| {
            end.send_timeout(bytes.into(), timeout).map_err(|error| match error {
                $($errors)::+::SendTimeoutError::Timeout(_) => $crate::adapter::Failure::Timeout,
                $($errors)::+::SendTimeoutError::Disconnected(_) => {
                    $crate::adapter::Failure::Closed
                }
            })
        })
    };
}

/// A receiving end with the calls `recv`, `try_recv` and `recv_timeout`; its errors are those of
/// this module.
///
/// ```
/// use ipc_conformance::receives_like_std;
/// let (tx, rx) = std::sync::mpsc::channel::<Vec<u8>>();
/// let receiver = receives_like_std!(rx, std::sync::mpsc);
/// # let _: (ipc_conformance::calls::Receives<_>, _) = (receiver, tx);
/// ```
#[macro_export]
macro_rules! receives_like_std {
    ($end:expr, $($errors:ident)::+) => {
        $crate::calls::Receives::through($end)
            .blocking(|end| end.recv().map_err(|_| $crate::adapter::Failure::Closed))
            .nonblocking(|end| {
                end.try_recv().map_err(|error| match error {
                    $($errors)::+::TryRecvError::Empty => $crate::adapter::Failure::Empty,
                    $($errors)::+::TryRecvError::Disconnected => $crate::adapter::Failure::Closed,
                })
            })
            .timed(|end, timeout| {
                end.recv_timeout(timeout).map_err(|error| match error {
                    $($errors)::+::RecvTimeoutError::Timeout => $crate::adapter::Failure::Timeout,
                    $($errors)::+::RecvTimeoutError::Disconnected => {
                        $crate::adapter::Failure::Closed
                    }
                })
            })
    };
}

/// What an end tells without a call, for `observing` of [`super::Sends`] and [`super::Receives`]:
/// its methods that are called as the [`crate::adapter::Observer`]s are.
///
/// ```
/// # use ipc_conformance::{calls::Sends, observing};
/// # let queue = std::sync::Arc::new(std::sync::Mutex::new(Vec::<u8>::new()));
/// # struct End(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
/// # impl End {
/// #     fn len(&self) -> usize { 0 }
/// #     fn is_empty(&self) -> bool { true }
/// # }
/// let sender = Sends::through(End(queue)).observing(observing!(len, is_empty));
/// # let _ = sender;
/// ```
#[macro_export]
macro_rules! observing {
    ($($observer:ident),+) => {
        |end, what| match what.word() {
            $(word if word == stringify!($observer) => Some(end.$observer().into()),)+
            _ => None,
        }
    };
}

/// A link that carries values, of ends with the calls `try_send` and `try_recv`, for
/// [`crate::adapter::Adapter::values`]. What the calls answer is not looked at there: a value that
/// they hand back is dropped with the error.
#[macro_export]
macro_rules! carries_like_std {
    ($ends:expr) => {
        $crate::values::Carries::new(
            $ends,
            |end, value| end.try_send(value).map_err(|_| $crate::adapter::Failure::Full),
            |end| end.try_recv().map_err(|_| $crate::adapter::Failure::Empty),
        )
    };
    ($ends:expr, timed) => {
        $crate::carries_like_std!($ends).timed(|end, value, timeout| {
            end.send_timeout(value, timeout).map_err(|_| $crate::adapter::Failure::Timeout)
        })
    };
}
