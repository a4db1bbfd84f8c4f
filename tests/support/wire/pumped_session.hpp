// A client's session over a real connection, for tests that look at its events.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <variant>

#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/pump.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

// Runs the session until it has ended by itself, and gives each event to `on_event`, which takes
// every kind. All but the last outlive the call.
template <typename OnEvent>
boost::asio::awaitable<void> pump_events(transport::Connection& connection,
                                         session::ClientSession& session, transport::Wake& wake,
                                         OnEvent on_event) {
  const std::function<void()> after_event = [&] {
    for (session::ClientEvent& event : session.take_events()) std::visit(on_event, event);
  };
  must(co_await transport::pump(connection, session, wake, after_event));
}

}  // namespace notp
