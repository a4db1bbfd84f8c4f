// The distance to a root's expiry, to the millisecond, and its messages.
#include <doctest/doctest.h>

#include "notp-server/trust/root_expiry_log.hpp"
#include "protocol/trust/root_expiry.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp {
namespace {

constexpr TimeMs kDayMs = 24LL * 3600 * 1000;
constexpr TimeMs kEndMs = samples::kIssuedMs + 365 * kDayMs;

trust::Root ending_root(uint64_t version = 1, TimeMs expires_ms = kEndMs) {
  trust::Root root = samples::tracked_root();
  root.version = version;
  root.expires_ms = expires_ms;
  return root;
}

TEST_CASE("a root comes near its end in steps, each at its millisecond") {
  struct Step {
    TimeMs at_ms;
    trust::RootExpiry before, after;
  };
  const Step steps[] = {
      {kEndMs - 30 * kDayMs, trust::RootExpiry::kFar, trust::RootExpiry::kSoon},
      {kEndMs - 7 * kDayMs, trust::RootExpiry::kSoon, trust::RootExpiry::kUrgent},
      {kEndMs, trust::RootExpiry::kUrgent, trust::RootExpiry::kExpired},
  };
  for (const Step& step : steps) {
    CHECK(trust::root_expiry(kEndMs, step.at_ms - 1) == step.before);
    CHECK(trust::root_expiry(kEndMs, step.at_ms) == step.after);
    CHECK(trust::next_root_expiry_ms(kEndMs, step.at_ms - 1) == step.at_ms);
  }
  CHECK(trust::next_root_expiry_ms(kEndMs, samples::kIssuedMs) == steps[0].at_ms);
  CHECK(trust::next_root_expiry_ms(kEndMs, kEndMs) == kNever);
  // A root that never expires.
  CHECK(trust::root_expiry(0, kEndMs) == trust::RootExpiry::kFar);
  CHECK(trust::next_root_expiry_ms(0, kEndMs) == kNever);
}

TEST_CASE("what is said of a root that ends names it, the time, the effect and the way out") {
  const trust::Root root = ending_root(3);
  CHECK(trust::root_expiry_text(root, kEndMs - 31 * kDayMs).empty());
  const std::string soon = trust::root_expiry_text(root, kEndMs - 6 * kDayMs);
  const std::string over = trust::root_expiry_text(root, kEndMs + 50 * kDayMs);
  for (const std::string& text : {soon, over}) {
    CHECK_MESSAGE(text.contains("root 3 of " + root.trust_domain), text);
    CHECK_MESSAGE(text.contains(utc_time(kEndMs)), text);
    CHECK_MESSAGE(text.contains("accept nothing new"), text);
    CHECK_MESSAGE(text.contains("notp root set-expiry"), text);
  }
  CHECK_MESSAGE(soon.contains("in 6 days"), soon);
  CHECK_MESSAGE(over.contains("50 days ago"), over);
  CHECK(trust::root_expiry_text(root, kEndMs - kDayMs).contains("in 24 hours"));
  CHECK(trust::root_expiry_text(root, kEndMs - 1).contains("in less than an hour"));
}

TEST_CASE("the registry says each step once, and that a newer root has ended it") {
  trust::RootExpiryLog log;
  CHECK_FALSE(log.look(ending_root(), samples::kIssuedMs));
  CHECK(log.look(ending_root(), kEndMs - 30 * kDayMs));
  CHECK_FALSE(log.look(ending_root(), kEndMs - 7 * kDayMs - 1));
  CHECK(log.look(ending_root(), kEndMs - 7 * kDayMs));
  CHECK(log.look(ending_root(), kEndMs));
  CHECK_FALSE(log.look(ending_root(), kEndMs + 365 * kDayMs));
  CHECK(log.look(ending_root(2, kEndMs + 365 * kDayMs), kEndMs));
  CHECK_FALSE(log.look(ending_root(3, kEndMs + 365 * kDayMs), kEndMs));
  // A start in the last week, and a next root that expires soon, too.
  trust::RootExpiryLog late;
  CHECK(late.look(ending_root(), kEndMs - kDayMs));
  CHECK(late.look(ending_root(2, kEndMs + kDayMs), kEndMs - kDayMs));
  CHECK_FALSE(late.look(ending_root(2, kEndMs + kDayMs), kEndMs - kDayMs));
}

}  // namespace
}  // namespace notp
