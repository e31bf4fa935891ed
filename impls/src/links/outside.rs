//! The outside of a link in shared memory, which is the same for all of them: how it is made,
//! found, passed on and removed, and how ends are attached to it.

/// Declares a link and its two ends, over the `Control`, `Sending` and `Receiving` in scope.
macro_rules! outside {
    (
        $Link:ident, $noun:literal, seats $seats:expr,
        made from $given:ident: $Given:ty, shape $kind:expr, $shape:expr
    ) => {
        #[doc = concat!("A ", $noun, ", before an end is attached to it. Dropping it removes nothing.")]
        #[derive(Debug)]
        pub struct $Link(crate::shm::object::Object);

        impl $Link {
            #[doc = concat!("Makes a ", $noun, " whose name must be new. Its owner alone can open it (mode 0600).")]
            pub fn create(name: &str, $given: $Given) -> Result<$Link, CreateError> {
                crate::shm::object::Object::create::<Control>(name, $shape?).map($Link)
            }

            #[doc = concat!("Opens the ", $noun, " of this name.")]
            pub fn open(name: &str) -> Result<$Link, OpenError> {
                crate::shm::object::Object::open::<Control>(name, $kind).map($Link)
            }

            #[doc = concat!("Opens the ", $noun, " of this name, whatever it was made for, or makes it for this.")]
            pub fn open_or_create(name: &str, $given: $Given) -> Result<$Link, OpenOrCreateError> {
                crate::shm::object::Object::open_or_create::<Control>(name, $shape?).map($Link)
            }

            #[doc = concat!("Makes a ", $noun, " without a name, sealed so that nobody can cut it off. It ")]
            #[doc = concat!("travels to another process as a file descriptor ([`AsFd`](std::os::fd::AsFd), [`", stringify!($Link), "::adopt`]).")]
            pub fn anonymous($given: $Given) -> Result<$Link, CreateError> {
                crate::shm::object::Object::anonymous::<Control>($shape?).map($Link)
            }

            #[doc = concat!("Takes over a ", $noun, " that came as a file descriptor.")]
            pub fn adopt(file: std::fs::File) -> Result<$Link, OpenError> {
                crate::shm::object::Object::adopt::<Control>(file, $kind).map($Link)
            }

            #[doc = concat!("Removes the name. Whoever has the ", $noun, " open keeps it; its memory goes with the last.")]
            pub fn unlink(name: &str) -> Result<(), UnlinkError> {
                crate::shm::object::Object::unlink(name)
            }

            /// Attaches a sender.
            pub fn sender(&self) -> Result<Sender, AttachError> {
                let (memory, seat) = self.0.attach(crate::shm::roster::Role::Sender, $seats)?;
                Ok(Sender(Sending::new(memory, seat, &self.0.shape())?))
            }

            /// Attaches a receiver.
            pub fn receiver(&self) -> Result<Receiver, AttachError> {
                let (memory, seat) = self.0.attach(crate::shm::roster::Role::Receiver, $seats)?;
                Ok(Receiver(Receiving::new(memory, seat, &self.0.shape())?))
            }

            /// Which lengths a message may have.
            pub fn size(&self) -> crate::links::Size {
                self.0.shape().size
            }
        }

        impl std::os::fd::AsFd for $Link {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.file().as_fd()
            }
        }

        #[doc = concat!("A sending end of a [`", stringify!($Link), "`].")]
        pub struct Sender(Sending<crate::shm::mapping::Mapping<Control>>);

        #[doc = concat!("A receiving end of a [`", stringify!($Link), "`].")]
        pub struct Receiver(Receiving<crate::shm::mapping::Mapping<Control>>);

        impl Sender {
            /// Whether a receiver is there. Asks the kernel, so it costs a system call.
            pub fn receiver_presence(&mut self) -> Presence {
                self.0.peer_presence()
            }
        }

        impl Receiver {
            /// Whether a sender is there. Asks the kernel, so it costs a system call.
            pub fn sender_presence(&mut self) -> Presence {
                self.0.peer_presence()
            }
        }

        impl crate::links::SendingEnd for Sender {
            #[inline]
            fn send(&mut self, message: &[u8]) -> Result<(), crate::links::SendError> {
                self.0.send(message)
            }

            #[inline]
            fn try_send(&mut self, message: &[u8]) -> Result<(), crate::links::TrySendError> {
                self.0.try_send(message)
            }

            fn send_timeout(
                &mut self,
                message: &[u8],
                patience: std::time::Duration,
            ) -> Result<(), crate::links::SendTimeoutError> {
                self.0.send_timeout(message, patience)
            }
        }

        impl crate::links::ReceivingEnd for Receiver {
            #[inline]
            fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, crate::links::ReceiveError> {
                self.0.receive(buffer)
            }

            #[inline]
            fn try_receive(
                &mut self,
                buffer: &mut [u8],
            ) -> Result<usize, crate::links::TryReceiveError> {
                self.0.try_receive(buffer)
            }

            fn receive_timeout(
                &mut self,
                buffer: &mut [u8],
                patience: std::time::Duration,
            ) -> Result<usize, crate::links::ReceiveTimeoutError> {
                self.0.receive_timeout(buffer, patience)
            }
        }
    };
}

pub(crate) use outside;
