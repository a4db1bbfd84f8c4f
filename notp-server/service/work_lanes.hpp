// The registry's blocking work in lanes, each with threads of its own: what operators order never
// waits behind what anybody can make long.
#pragma once

#include "protocol/serve/fair_lane.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp {

// The threads. Thread-safe; it is joined before the io_contexts that wait for it end.
struct WorkPools {
  // `workers` threads each for answers and for artifacts.
  WorkPools(size_t workers, size_t validations_at_once);
  void join();

  OffloadPool queries, artifacts, validations;
  OffloadPool orders;  // joins, too
  OffloadPool now_publishes;
};

// Who waits for them. Thread-safe. Everything is fair by identity.
struct WorkLanes {
  // The sizes are those of the pools.
  WorkLanes(WorkPools& pools, size_t workers, size_t validations_at_once);
  // Refuses what waits, and all that comes.
  void close();
  size_t waiting() const;
  FairLane& lane_of(wire::RequestKind kind);

  FairLane queries, artifacts;
  FairLane validations;    // publishes
  FairLane orders;         // withdrawals, roots, tokens, renewals, drops
  FairLane now_publishes;  // cosigned releases and deny lists: orders that have to be validated
};

}  // namespace notp
