//! Events as the real senders send them: the genuine LiveKit SDKs, and senders that behave like
//! OpenVidu's `HttpWebhookSender` and LiveKit's queued notifier.

mod genuine;
mod notifier;
mod openvidu;
