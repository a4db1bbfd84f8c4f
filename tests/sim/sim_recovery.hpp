// Recovers what a simulated registry has lost from its nodes, as an administrator orders it: the
// registry's side of protocol/session/README.md, "Recovery".
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "protocol/session/server/server_events.hpp"
#include "tests/sim/sim_registry.hpp"
#include "tests/sim/world_port.hpp"

namespace notp::sim {

// What nodes say is compared with what was ever signed: a node that holds anything else is a
// violation. One thread.
class SimRecovery {
 public:
  struct Handlers {
    // To the open session of a node. False: it refuses the question.
    std::function<bool(size_t node, const wire::HeldRequest&)> ask_held;
    std::function<bool(size_t node, const wire::ReturnRequest&)> ask_return;
    std::function<void()> roots_back;
    std::function<void(const model::LedgerId&)> release_back;
    std::function<void()> done;
  };

  // Both references outlive this object.
  SimRecovery(WorldPort& world, SimRegistry& registry, size_t nodes, Handlers handlers)
      : world_(world), registry_(registry), nodes_(nodes), handlers_(std::move(handlers)) {}

  // The registry was restored; its sessions have ended. An administrator orders the recovery later,
  // and waits for nodes that were not heard.
  void begin(TimeMs order_in_ms);

  void greeted(size_t node);
  void ended(size_t node);
  void on_event(size_t node, const session::server_event::HoldsMore& more);
  void on_event(size_t node, const session::server_event::HeldArrived& arrived);
  void on_event(size_t node, session::server_event::ReturnArrived& arrived);

  uint64_t recovered() const { return recovered_; }
  uint64_t refused() const { return refused_; }  // answers without an artifact

 private:
  struct OpenReturn {
    size_t node = 0;
    model::LedgerId ledger;
    uint64_t version = 0;
    uint64_t base = 0;
  };
  // By version; with the nodes that hold it.
  using Lost = std::map<uint64_t, std::set<size_t>>;

  void step_soon();
  void step();
  bool is_everyone_heard() const;
  void adopt_roots();
  // False: there is nothing to ask now, and nothing to wait for.
  bool ask_next(const model::LedgerId& ledger);
  Result<void> take_back(const OpenReturn& open, const wire::Return& head, ByteView artifact);
  void finish();

  WorldPort& world_;
  SimRegistry& registry_;
  const size_t nodes_;
  const Handlers handlers_;
  bool is_ordered_ = false;
  std::set<size_t> connected_, heard_;
  std::map<size_t, size_t> awaited_;  // Helds, by node
  std::map<model::LedgerId, Lost> lost_;
  uint64_t held_root_ = 0;  // newest root that a node holds
  std::optional<OpenReturn> open_;
  uint64_t next_request_ = 1;
  uint64_t recovered_ = 0, refused_ = 0;
};

}  // namespace notp::sim
