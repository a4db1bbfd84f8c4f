// One session between a simulated node and the registry: real sessions at both ends, bytes that
// take time, and perhaps a relay that drops, doubles and replays signed statements.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/session/client/client_session.hpp"
#include "protocol/session/server/server_session.hpp"
#include "tests/sim/lane_node.hpp"
#include "tests/sim/lane_registry.hpp"

namespace notp::sim {

// What relays have heard on all links.
using HeardStatements = std::vector<wire::LaneStatement>;

class LaneLink final : private session::SendMeter {
 public:
  // The session is over; a statement has arrived.
  struct Handlers {
    std::function<void()> on_end, on_statement;
  };
  LaneLink(LanePort& port, SimLaneRegistry& registry, SimLaneNode& node, uint64_t number,
           HeardStatements* relay, Handlers handlers);
  ~LaneLink() override;

  // Carries what both ends have to say, and handles what has arrived.
  void pump();
  // The peer reads nothing until then.
  void stall(TimeMs until_ms) { stalled_until_ms_ = until_ms; }
  session::ClientSession& client() { return *client_; }
  const feed::TokenId& instance() const { return instance_; }

 private:
  void sending(size_t, size_t taken) override { lane_.on_output(taken > 0); }
  void serve();
  void read();
  void carry(bool to_server, Bytes bytes);
  void arrive(bool to_server, ByteView bytes);
  Bytes relayed(ByteView bytes);
  void arm();
  // Dropped when the link is gone by then.
  void later(TimeMs delay_ms, Action action);

  LanePort& port_;
  SimLaneRegistry& registry_;
  SimLaneNode& node_;
  HeardStatements* const relay_;  // null: there is none
  const Handlers handlers_;
  const feed::TokenId instance_;  // of the registry
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
  std::unique_ptr<session::ServerSession> server_;
  std::unique_ptr<session::ClientSession> client_;
  serve::SessionLane lane_;
  wire::FrameParser relayed_;
  TimeMs to_server_ms_ = 0, to_client_ms_ = 0, stalled_until_ms_ = 0, armed_ms_ = kNever;
};

}  // namespace notp::sim
