// A node without a PDP: follows a lane over a real session, and keeps what it is sent.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/pump.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

struct HeardLane {
  wire::LaneState state;
  Bytes sent;      // bodies of statements, as they were on the wire
  Bytes inflated;  // the same, verified
  uint64_t revision = 0;
};

// Follows from nothing until it has this revision.
inline HeardLane hear_lane(int registry_port, const transport::TlsFiles& files,
                           const std::string& lane, const PublicKey& key, uint64_t revision) {
  namespace asio = boost::asio;
  asio::io_context io(1);
  HeardLane heard;
  std::optional<Error> failed;
  std::unique_ptr<transport::Connection> connection;
  const auto take = [&](session::ClientSession& session) {
    for (session::ClientEvent& event : session.take_events()) {
      if (std::holds_alternative<session::client_event::Welcomed>(event))
        session.lane_subscribe({.lane = lane});
      if (const auto* came = std::get_if<session::client_event::LaneStateArrived>(&event))
        heard.state = came->state;
      const auto* came = std::get_if<session::client_event::LaneStatementArrived>(&event);
      if (came == nullptr) continue;
      const Bytes body = must(feed::open(came->statement, key));
      heard.sent += came->statement.body;
      heard.inflated += body;
      if (came->statement.type == feed::StatementType::kBatch)
        heard.revision = must(feed::Batch::decode(body)).to;
      else if (const auto rows = must(feed::Snapshot::decode(body)); !rows.last)
        heard.revision = rows.as_of;
    }
    if (heard.state.code != 0 || heard.revision >= revision) connection->abort();
  };
  const auto run = [&]() -> asio::awaitable<void> {
    const auto context = must(transport::TlsContext::load(files, transport::Side::kClient));
    auto connected =
        co_await transport::connect(fmt::format("127.0.0.1:{}", registry_port), context, 30'000);
    connection = must(std::move(connected));
    wire::Hello hello;
    hello.versions = {wire::kProtocolVersion};
    hello.user_agent = "listener";
    session::ClientSession session(std::move(hello), {}, read_clock());
    transport::Wake wake;
    const std::function<void()> after_event = [&] { take(session); };
    co_await transport::pump(*connection, session, wake, after_event);
  };
  asio::co_spawn(io, run(), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  io.run_for(std::chrono::seconds(60));
  connection.reset();
  return heard;
}

}  // namespace notp
