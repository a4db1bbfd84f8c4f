// Which connection gives way: pure decisions over slots, without a socket.
#include <doctest/doctest.h>

#include "common/http/admission.hpp"

namespace notp::http {
namespace {

struct Client {
  explicit Client(Phase phase, TimeMs since_ms, Admission& admission, TimeMs now_ms = 1'000'000)
      : slot(std::make_shared<Slot>([this] { ++closed; })) {
    slot->enter(phase, since_ms, kNever);
    admitted = admission.admit(slot, now_ms);
  }

  int closed = 0;
  SlotPtr slot;
  bool admitted = false;
};

}  // namespace

TEST_CASE("the longest idle one gives way, then the longest header, then who has fallen behind") {
  Admission admission({.connections_max = 6, .stalled_ms = 2'000});
  Client busy(Phase::kAnswering, 1, admission), prompt(Phase::kBody, 999'000, admission),
      slow(Phase::kWriting, 10, admission), header(Phase::kHeader, 500, admission),
      old(Phase::kIdle, 600, admission), idle(Phase::kIdle, 700, admission);
  Client first(Phase::kAnswering, 1, admission);
  CHECK(old.closed == 1);
  Client second(Phase::kAnswering, 1, admission);
  CHECK(idle.closed == 1);
  Client third(Phase::kAnswering, 1, admission);
  CHECK(header.closed == 1);
  Client fourth(Phase::kAnswering, 1, admission);
  CHECK(slow.closed == 1);
  Client fifth(Phase::kAnswering, 1, admission);
  CHECK_FALSE(fifth.admitted);
  CHECK(busy.closed + prompt.closed == 0);
  CHECK(admission.connections() == 6);
  CHECK(admission.evicted_total() == 4);
  CHECK_FALSE(old.slot->enter(Phase::kHeader, 2, 3));
  admission.leave(busy.slot);
  CHECK(Client(Phase::kIdle, 1, admission).admitted);
}

TEST_CASE("bytes are bounded; who has fallen behind with most patience goes first") {
  Admission admission({.bytes_max = 100, .stalled_ms = 2'000});
  constexpr TimeMs kNow = 1'000'000;
  Client stalled(Phase::kWriting, 10, admission), older(Phase::kBody, 5, admission),
      empty(Phase::kWriting, 1, admission), prompt(Phase::kWriting, kNow, admission);
  CHECK(admission.hold(*stalled.slot, 40, kNow));
  CHECK(admission.hold(*older.slot, 30, kNow));
  CHECK(admission.hold(*prompt.slot, 30, kNow));
  CHECK(admission.bytes_held() == 100);
  CHECK(admission.hold(*prompt.slot, 20, kNow));
  CHECK(older.closed == 1);
  CHECK(stalled.closed + empty.closed == 0);
  CHECK(admission.bytes_held() == 90);
  CHECK_FALSE(admission.hold(*prompt.slot, 100, kNow));
  CHECK(stalled.closed == 1);
  CHECK(admission.bytes_held() == 50);
  admission.release(*prompt.slot);
  CHECK(admission.bytes_held() == 0);
  admission.set_options({.bytes_max = 10});
  CHECK_FALSE(admission.hold(*prompt.slot, 11, kNow));
}

}  // namespace notp::http
