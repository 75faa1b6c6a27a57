//! Events as the real senders send them: the genuine SDKs of LiveKit, and senders that behave as
//! OpenVidu's `HttpWebhookSender` and LiveKit's queued notifier do.

mod genuine;
mod notifier;
mod openvidu;
