//! Request bodies that are read to their end, also where the answer does not depend on them.
//!
//! Whoever is refused while a body is still on its way has to get the answer. But a connection that
//! is closed with unread bytes in it is reset, and a reset may overtake the answer: the client then
//! sees a broken connection instead of the reason. So the rest is read and thrown away for a while.
//!
//! Spec: RFC 9112, section 9.6 (tear-down). Left out: a limit in bytes; what it costs is the time.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::body::Bytes;
use http_body::Body as _;
use http_body::Frame;
use http_body::SizeHint;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a client may go on sending what nobody needs.
const PATIENCE: Duration = Duration::from_secs(5);

/// A body of which the rest is read when it is dropped.
struct ReadToEnd(Body);

/// The same body, read to its end whatever becomes of it.
pub(crate) fn read_to_end(body: Body) -> Body {
    Body::new(ReadToEnd(body))
}

impl http_body::Body for ReadToEnd {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for ReadToEnd {
    fn drop(&mut self) {
        let mut rest = std::mem::take(&mut self.0);
        // Without a runtime the whole server is going away, and its connections with it.
        if let Ok(runtime) = Handle::try_current()
            && !rest.is_end_stream()
        {
            runtime.spawn(timeout(PATIENCE, async move {
                while let Some(Ok(_)) =
                    poll_fn(|context| Pin::new(&mut rest).poll_frame(context)).await
                {
                }
            }));
        }
    }
}
