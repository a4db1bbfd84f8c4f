#include "tests/sim/lane_link.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace notp::sim {
namespace {

constexpr size_t kReadMax = 64 << 10;

// A registry without ledgers.
struct NoLedgers final : session::Catalog, session::TargetSource, session::SessionRights {
  std::optional<trust::ReleaseRef> target(const model::LedgerId&, std::string_view) const override {
    return std::nullopt;
  }
  std::optional<trust::ReleaseRef> release(const model::LedgerId&, uint64_t) const override {
    return std::nullopt;
  }
  std::optional<trust::ReleaseRef> newest(const model::LedgerId&) const override {
    return std::nullopt;
  }
  std::optional<trust::ReleaseRef> pending(const model::LedgerId&, uint64_t,
                                           const Hash&) const override {
    return std::nullopt;
  }
  std::vector<session::CatalogRoot> roots_after(uint64_t) const override { return {}; }
  uint64_t newest_root() const override { return 1; }
  Result<void> may(wire::Action, const model::LedgerId*) const override { return {}; }
};

const NoLedgers kNoLedgers;

session::Identity identity_of(const SimLaneNode& node) {
  return {std::string(kLaneDomain), session::Role::kNode, node.name()};
}

}  // namespace

LaneLink::LaneLink(LanePort& port, SimLaneRegistry& registry, SimLaneNode& node, uint64_t number,
                   HeardStatements* relay, Handlers handlers)
    : port_(port),
      registry_(registry),
      node_(node),
      relay_(relay),
      handlers_(std::move(handlers)),
      instance_(registry.store().state().instance),
      lane_(&registry) {
  server_ = std::make_unique<session::ServerSession>(
      session::ServerPorts{kNoLedgers, kNoLedgers, kNoLedgers},
      session::ServerInfo{.server = "sim",
                          .trust_domain = std::string(kLaneDomain),
                          .peer = identity_of(node).text()},
      registry.now());
  server_->set_meter(this);
  client_ = std::make_unique<session::ClientSession>(
      wire::Hello{{wire::kProtocolVersion}, "sim", 1, 0, {}},
      std::vector<session::PartialArtifact>(), node.now());
  lane_.begin({.session = server_.get(),
               .readers = &registry.readers(),
               .number = number,
               .identity = identity_of(node),
               .wake = [this] { later(0, [] {}); }});
  later(0, [] {});
}

LaneLink::~LaneLink() {
  *is_alive_ = false;
  server_->set_meter(nullptr);
  if (registry_.is_up()) lane_.end();
}

void LaneLink::later(TimeMs delay_ms, Action action) {
  port_.at(delay_ms, [this, alive = is_alive_, action = std::move(action)] {
    if (!*alive) return;
    action();
    if (*alive) pump();
  });
}

void LaneLink::pump() {
  const auto alive = is_alive_;
  serve();
  read();
  if (!*alive) return;
  for (Bytes out = client_->take_output(kReadMax); !out.empty();
       out = client_->take_output(kReadMax))
    carry(true, std::move(out));
  if (port_.time_ms() < stalled_until_ms_) {
    later(stalled_until_ms_ - port_.time_ms(), [] {});
    stalled_until_ms_ = std::max(stalled_until_ms_, port_.time_ms());
  } else {
    for (Bytes out = server_->take_output(kReadMax); !out.empty();
         out = server_->take_output(kReadMax))
      carry(false, std::move(out));
  }
  if (client_->is_closed() || server_->is_closed()) return later(1, handlers_.on_end);
  arm();
}

// As SessionHost.
void LaneLink::serve() {
  for (session::ServerEvent& event : server_->take_events()) {
    if (auto* subscribed = std::get_if<session::server_event::LaneSubscribed>(&event))
      lane_.take(*subscribed, registry_.now());
    else if (auto* asked = std::get_if<session::server_event::LaneAsked>(&event))
      lane_.take(*asked, registry_.now());
    else if (auto* applied = std::get_if<session::server_event::LaneAppliedArrived>(&event))
      lane_.take(*applied, registry_.now());
    else if (const auto* closed = std::get_if<session::server_event::Closed>(&event))
      port_.note("registry closes", node_.index(), closed->error.message);
  }
}

// As the agent.
void LaneLink::read() {
  const auto alive = is_alive_;
  for (session::ClientEvent& event : client_->take_events()) {
    if (std::holds_alternative<session::client_event::Welcomed>(event))
      node_.on_connected();
    else if (auto* state = std::get_if<session::client_event::LaneStateArrived>(&event))
      node_.on_state(state->state);
    else if (auto* statement = std::get_if<session::client_event::LaneStatementArrived>(&event)) {
      handlers_.on_statement();
      if (!node_.is_up()) return;  // killed just before it
      node_.on_statement(statement->statement);
    } else if (const auto* closed = std::get_if<session::client_event::Closed>(&event))
      port_.note("node closes", node_.index(), closed->error.message);
    if (!*alive) return;
  }
}

void LaneLink::carry(bool to_server, Bytes bytes) {
  TimeMs& arrives_ms = to_server ? to_server_ms_ : to_client_ms_;
  const bool is_slow = port_.faulty() && port_.chance(40);
  arrives_ms = std::max(arrives_ms, port_.time_ms() + port_.between(1, is_slow ? 4'000 : 40));
  const size_t cut = port_.chance(4) ? 1 + port_.random().below(bytes.size()) : bytes.size();
  later(arrives_ms - port_.time_ms(),
        [this, to_server, front = bytes.substr(0, cut)] { arrive(to_server, front); });
  if (cut == bytes.size()) return;
  later(arrives_ms - port_.time_ms(),
        [this, to_server, rest = bytes.substr(cut)] { arrive(to_server, rest); });
}

void LaneLink::arrive(bool to_server, ByteView bytes) {
  if (to_server) return server_->receive(bytes, registry_.now());
  client_->receive(relay_ == nullptr ? Bytes(bytes) : relayed(bytes), node_.now());
}

Bytes LaneLink::relayed(ByteView bytes) {
  Bytes out;
  relayed_.feed(bytes);
  for (auto next = relayed_.next(); next && *next; next = relayed_.next()) {
    const auto* statement = std::get_if<wire::LaneStatement>(&**next);
    if (statement == nullptr || !port_.faulty()) {
      out += wire::encode_frame(**next);
      continue;
    }
    relay_->push_back(*statement);
    if (port_.chance(12)) {
      port_.note("relay drops", node_.index());
      continue;
    }
    out += wire::encode_frame(*statement);
    if (port_.chance(12)) {
      port_.note("relay replays", node_.index());
      const bool is_old = port_.chance(2);
      out +=
          wire::encode_frame(is_old ? (*relay_)[port_.random().below(relay_->size())] : *statement);
    }
  }
  return out;
}

void LaneLink::arm() {
  const auto of_node = client_->next_deadline();
  const TimeMs node_boot_ms = node_.now().boot_ms;
  TimeMs wait_ms = kNever;
  if (of_node != kNever) wait_ms = std::max<TimeMs>(0, of_node - node_boot_ms);
  if (const TimeMs at_ms = server_->next_deadline(); at_ms != kNever)
    wait_ms = std::min(wait_ms, std::max<TimeMs>(0, at_ms - registry_.now().boot_ms));
  if (wait_ms == kNever) return;
  const TimeMs at_ms = port_.time_ms() + wait_ms;
  if (at_ms >= armed_ms_) return;
  armed_ms_ = at_ms;
  later(wait_ms, [this, at_ms] {
    if (armed_ms_ != at_ms) return;
    armed_ms_ = kNever;
    if (node_.now().boot_ms >= client_->next_deadline()) client_->on_deadline(node_.now());
    if (registry_.now().boot_ms >= server_->next_deadline()) server_->on_deadline(registry_.now());
  });
}

}  // namespace notp::sim
