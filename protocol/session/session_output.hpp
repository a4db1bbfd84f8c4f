// The output of a session, for the machines inside it.
#pragma once

#include <cstdint>
#include <string>

#include "protocol/session/send_queue.hpp"

namespace notp::session {

// One thread. All output is dropped once the session is closed.
class SessionOutput {
 public:
  // Queues one frame. The session may be closed afterwards: the message broke a limit, or the peer
  // does not read.
  virtual void send(const wire::Message& message) = 0;
  // The same for whole frames that are encoded already, and which sessions may share: not copied
  // when nothing else waits before them.
  virtual void send_frames(model::Content frames) = 0;
  // Queues the content of a transfer from `offset` on. Its Offer or Publish must have been sent
  // before.
  virtual void send_transfer(uint32_t stream, model::Content content, uint64_t offset) = 0;
  // Sends Bye and ends the session.
  virtual void say_bye(std::string reason, uint32_t retry_after_ms) = 0;
  // Sends an Error frame and ends the session: this end does not continue.
  virtual void refuse(const Error& error, uint32_t retry_after_ms) = 0;
  virtual bool is_closed() const = 0;
  virtual const SendQueue& queue() const = 0;

 protected:
  ~SessionOutput() = default;
};

}  // namespace notp::session
