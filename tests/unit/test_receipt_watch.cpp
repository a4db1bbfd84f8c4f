// Acknowledged records without a receipt: when that is too long, over sessions.
#include <doctest/doctest.h>

#include "notp-client/agent/core/receipt_watch.hpp"

namespace notp::agent {
namespace {

TreeWitness seen(record::Position acknowledged, record::Position witnessed) {
  return {.is_granted = true,
          .is_known = true,
          .acknowledged = acknowledged,
          .witnessed = witnessed,
          .refused = {}};
}

}  // namespace

TEST_CASE("what gets no receipt in five minutes of sessions is reported once") {
  ReceiptWatch watch;
  CHECK(watch.next_deadline() == kNever);
  watch.update(seen(10, 0), 1'000);
  CHECK(watch.next_deadline() == 1'000 + kReceiptOverdueMs);
  // More that comes does not put it off.
  watch.update(seen(30, 0), 200'000);
  CHECK(watch.next_deadline() == 1'000 + kReceiptOverdueMs);
  CHECK_FALSE(watch.take_overdue(kReceiptOverdueMs));
  CHECK(watch.take_overdue(1'000 + kReceiptOverdueMs) == 10);
  CHECK(watch.was_overdue());
  CHECK(watch.next_deadline() == kNever);
  CHECK_FALSE(watch.take_overdue(10 * kReceiptOverdueMs));
  watch.update(seen(30, 30), 400'000);
  CHECK_FALSE(watch.was_overdue());
  CHECK(watch.next_deadline() == kNever);
}

TEST_CASE("a receipt for what waited begins the wait of the rest") {
  ReceiptWatch watch;
  watch.update(seen(10, 0), 0);
  watch.update(seen(20, 10), 100'000);
  CHECK(watch.next_deadline() == 100'000 + kReceiptOverdueMs);
  watch.update(seen(20, 15), 200'000);
  CHECK(watch.next_deadline() == 100'000 + kReceiptOverdueMs);
  watch.update(seen(20, 20), 250'000);
  CHECK(watch.next_deadline() == kNever);
}

TEST_CASE("time without a session does not count, and short sessions do not hide it") {
  ReceiptWatch watch;
  watch.update(seen(10, 0), 0);
  watch.session_ended(200'000);
  CHECK(watch.next_deadline() == kNever);
  watch.update(seen(10, 0), 1'000'000);
  CHECK(watch.next_deadline() == 1'000'000 + kReceiptOverdueMs - 200'000);
  CHECK(watch.take_overdue(1'000'000 + kReceiptOverdueMs - 200'000) == 10);
}

TEST_CASE("nothing is awaited of a registry without a tree, of a refused one, or in a new log") {
  ReceiptWatch watch;
  watch.update(
      {.is_granted = true, .is_known = false, .acknowledged = 10, .witnessed = 0, .refused = {}},
      0);
  CHECK(watch.next_deadline() == kNever);
  watch.update(seen(10, 0), 0);
  TreeWitness refused = seen(10, 0);
  refused.refused = "it shrank";
  watch.update(refused, 1'000);
  CHECK(watch.next_deadline() == kNever);
  watch.update(seen(100, 0), 2'000);
  watch.update(seen(5, 0), 100'000);  // of a log that follows
  CHECK(watch.next_deadline() == 100'000 + kReceiptOverdueMs);
}

}  // namespace notp::agent
