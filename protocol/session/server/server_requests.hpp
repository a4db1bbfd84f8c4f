// Handles requests of the peer of one registry's session. protocol/session/README.md, "Requests".
#pragma once

#include <cstddef>

#include "protocol/session/server/server_context.hpp"

namespace notp::session {

// Checks rights and bounds the number of waiting requests; the host answers. One thread.
class ServerRequests {
 public:
  // `context` outlives this.
  explicit ServerRequests(ServerContext& context) : context_(context) {}

  // A refused request is answered at once; the session continues.
  Result<void> on_message(wire::Request&& request, Now now);
  // Sends the host's response, once for each Asked.
  void answer(wire::Response response);

 private:
  // kDenied; kOverloaded when kRequestsPerSessionMax requests already wait for their answer.
  Result<void> may_ask(const wire::Request& request) const;

  ServerContext& context_;
  size_t unanswered_ = 0;
};

}  // namespace notp::session
