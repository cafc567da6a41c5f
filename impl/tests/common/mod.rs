//! What tests share that bring a system of their own.

/// The primitives of the operating system, for a system that differs in something else.
macro_rules! primitives_of_the_os {
    ($system:ty) => {
        impl netpoller::seam::Primitives for $system {
            type AtomicU32 = <netpoller::Os as netpoller::seam::Primitives>::AtomicU32;
            type AtomicU64 = <netpoller::Os as netpoller::seam::Primitives>::AtomicU64;
            type Mutex<T: Send + std::fmt::Debug> =
                <netpoller::Os as netpoller::seam::Primitives>::Mutex<T>;
            type Parker = <netpoller::Os as netpoller::seam::Primitives>::Parker;

            fn fence(order: std::sync::atomic::Ordering) {
                <netpoller::Os as netpoller::seam::Primitives>::fence(order);
            }

            fn parker() -> Self::Parker {
                <netpoller::Os as netpoller::seam::Primitives>::parker()
            }

            fn choose(alternatives: usize) -> usize {
                <netpoller::Os as netpoller::seam::Primitives>::choose(alternatives)
            }
        }
    };
}
pub(crate) use primitives_of_the_os;
