//! Types that prove that the processor has some instructions, and calls of functions that need
//! them.

/// Defines the type of a set of instructions: its `detect`, and the [`Vector`](super::task::Vector)
/// that runs tasks with them. The features are named once, so that none is used that was not
/// detected.
macro_rules! proof {
    ($(#[$attribute:meta])* $proof:ident, $is_detected:ident, $($feature:tt),+) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $proof(());

        impl $proof {
            /// A value, if this processor has what it stands for.
            pub(crate) fn detect() -> Option<Self> {
                let is_there = true $(&& $is_detected!($feature))+;
                is_there.then_some(Self(()))
            }
        }

        impl $crate::vector::task::Vector for $proof {
            #[inline(always)]
            #[expect(unsafe_code, reason = "calls a function that needs the instructions")]
            fn run<T: $crate::vector::task::Task>(self, task: T) -> T::Output {
                #[inline(never)]
                #[target_feature($(enable = $feature),+)]
                fn run<T: $crate::vector::task::Task>(vector: $proof, task: T) -> T::Output {
                    task.run(vector)
                }

                // SAFETY: `self` was made by `detect`, so the processor has the instructions.
                unsafe { run(self, task) }
            }
        }
    };
}

/// Defines methods of a trait, each of which calls the function of the same name beside it. The
/// functions need no other features than those that the type of `self` proves.
///
/// They are inlined into the callers, which have the features; a method that is not inlined has
/// not.
macro_rules! forward {
    ($(
        fn $name:ident $(<const $constant:ident: $kind:ty>)?
        (self $(, $argument:ident: $type:ty)*) -> $output:ty;
    )+) => {$(
        #[inline(always)]
        #[expect(unsafe_code, reason = "calls a function that needs the instructions")]
        fn $name $(<const $constant: $kind>)? (self $(, $argument: $type)*) -> $output {
            // SAFETY: `self` was made by `detect`, so the processor has the instructions.
            unsafe { $name $(::<$constant>)? ($($argument),*) }
        }
    )+};
}

pub(super) use {forward, proof};
