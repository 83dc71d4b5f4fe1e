//! Status codes of the C boundary and the error type of the trait.

use core::fmt;

/// What a function of the C table returns. Unknown values are treated as [`Status::INTERNAL`].
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// The operation was carried out.
    pub const OK: Self = Self(0);
    /// The kernel does not implement this operation, or not for these formats.
    pub const UNSUPPORTED: Self = Self(1);
    /// A pointer was null, a length did not fit the shape, or a range left the matrix.
    pub const BAD_ARGUMENT: Self = Self(2);
    /// The kernel's code panicked; the panic was caught at the boundary.
    pub const PANICKED: Self = Self(3);
    /// This processor cannot run the kernel.
    pub const WRONG_ISA: Self = Self(4);
    /// Anything else.
    pub const INTERNAL: Self = Self(5);
}

/// Why a kernel did not carry out an operation. The outputs are then unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelError {
    /// The named operation is not implemented by this kernel (or not for these formats).
    Unsupported(&'static str),
    /// The arguments contradict each other; the text names the rule that was broken.
    BadArgument(&'static str),
    /// The kernel's code panicked inside the named operation.
    Panicked(&'static str),
    /// The processor lacks what the kernel needs.
    WrongIsa,
    /// The plugin returned a status this build does not know.
    Internal(u32),
}

impl KernelError {
    /// The code that crosses the boundary for this error.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Unsupported(_) => Status::UNSUPPORTED,
            Self::BadArgument(_) => Status::BAD_ARGUMENT,
            Self::Panicked(_) => Status::PANICKED,
            Self::WrongIsa => Status::WRONG_ISA,
            Self::Internal(_) => Status::INTERNAL,
        }
    }

    /// The error for a `status` that operation `op` returned, or `Ok` when it succeeded.
    ///
    /// # Errors
    /// Every status but [`Status::OK`].
    pub fn from_status(status: Status, op: &'static str) -> Result<(), Self> {
        match status {
            Status::OK => Ok(()),
            Status::UNSUPPORTED => Err(Self::Unsupported(op)),
            Status::BAD_ARGUMENT => Err(Self::BadArgument(op)),
            Status::PANICKED => Err(Self::Panicked(op)),
            Status::WRONG_ISA => Err(Self::WrongIsa),
            Status(code) => Err(Self::Internal(code)),
        }
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(op) => {
                write!(f, "the kernel does not implement `{op}` for this input")
            }
            Self::BadArgument(rule) => {
                write!(f, "the kernel was called with bad arguments: {rule}")
            }
            Self::Panicked(op) => write!(f, "the kernel's code panicked in `{op}`"),
            Self::WrongIsa => write!(f, "this processor cannot run the kernel"),
            Self::Internal(code) => write!(f, "the kernel failed with unknown status {code}"),
        }
    }
}

impl core::error::Error for KernelError {}
