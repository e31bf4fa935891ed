//! Names of links.

use std::ffi::CString;
use std::fmt;

/// Room that the kernel leaves for a name in a directory.
const LONGEST: usize = 255;

/// The name of a link in shared memory: the name of its POSIX shared-memory object, without the
/// leading slash that the C interface wants.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(CString);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing there.
    #[error("the name of a link is empty")]
    Empty,
    /// Slashes separate directories, and shared-memory objects have none.
    #[error("the name {name:?} holds a slash; choose one without")]
    Slash {
        /// The text as given.
        name: String,
    },
    /// C strings end at the first zero byte.
    #[error("the name {name:?} holds a zero byte; choose one without")]
    Zero {
        /// The text as given.
        name: String,
    },
    /// A directory already has these two.
    #[error("the name {name:?} means a directory; choose another")]
    Dots {
        /// The text as given.
        name: String,
    },
    /// More than the file system keeps.
    #[error("the name is {length} bytes long; {LONGEST} is the most")]
    Long {
        /// In bytes.
        length: usize,
    },
}

impl Name {
    /// Checks `name`.
    pub fn new(name: &str) -> Result<Name, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.contains('/') {
            return Err(NameError::Slash { name: name.to_owned() });
        }
        if name == "." || name == ".." {
            return Err(NameError::Dots { name: name.to_owned() });
        }
        if name.len() > LONGEST {
            return Err(NameError::Long { length: name.len() });
        }
        let c_name = CString::new(format!("/{name}"));
        c_name.map(Name).map_err(|_| NameError::Zero { name: name.to_owned() })
    }

    pub(crate) fn as_c(&self) -> &CString {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string_lossy().trim_start_matches('/'))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_directory_can_hold_are_refused_each_for_its_own_reason() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("/x"), Err(NameError::Slash { name: "/x".into() }));
        assert_eq!(Name::new("a/b"), Err(NameError::Slash { name: "a/b".into() }));
        assert_eq!(Name::new(".."), Err(NameError::Dots { name: "..".into() }));
        assert_eq!(Name::new("a\0b"), Err(NameError::Zero { name: "a\0b".into() }));
        assert_eq!(Name::new(&"x".repeat(256)), Err(NameError::Long { length: 256 }));
        assert_eq!(Name::new(&"x".repeat(255)).unwrap().to_string(), "x".repeat(255));
    }
}
