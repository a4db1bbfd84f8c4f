// Requests of the peer of one registry's session. protocol/session/README.md, "Requests".
#pragma once

#include <cstddef>

#include "protocol/session/server/server_context.hpp"

namespace notp {

// Checks rights and bounds how much waits; the host answers. One thread.
class ServerRequests {
 public:
  // It outlives the requests.
  explicit ServerRequests(ServerContext& context) : context_(context) {}

  // A request that is refused is answered at once; the session goes on.
  Result<void> on_message(wire::Request&& request, Now now);
  // The host's response, once for each Asked.
  void answer(wire::Response response);

 private:
  // kDenied; kOverloaded when kQueriesPerSessionMax wait for their answer already.
  Result<void> may_ask(const wire::Request& request) const;

  ServerContext& context_;
  size_t unanswered_ = 0;
};

}  // namespace notp
