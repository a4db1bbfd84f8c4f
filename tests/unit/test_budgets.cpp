// Budgets of a registry for its peers, in both directions: memory is bounded, and released.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "common/limits.hpp"
#include "notp-server/app/descriptors.hpp"
#include "notp-server/publish/upload_budget.hpp"
#include "protocol/serve/address_rate.hpp"
#include "protocol/serve/send_budget.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

constexpr publish::UploadLimits kTight{.small = 100,
                                       .small_min = 10,
                                       .small_identity = 200,
                                       .small_all = 300,
                                       .large_identity = 1'000,
                                       .large_all = 2'500};

ErrorCode refusal(publish::UploadBudget& budget, const std::string& who, uint64_t bytes) {
  const auto opened = budget.open(who, bytes);
  REQUIRE_FALSE(opened.has_value());
  return opened.error().code;
}

TEST_CASE("uploads: an identity has its part, and everybody together theirs") {
  const TemporaryFolder folder;
  publish::UploadBudget budget(folder.path() / "uploads", kTight);
  {
    const auto first = budget.open("mallory", 1'000);
    REQUIRE(first.has_value());
    CHECK(refusal(budget, "mallory", 101) == ErrorCode::kOverloaded);
    // Large ones do not use the budget of small ones, nor of others.
    const auto small = budget.open("mallory", 100);
    REQUIRE(small.has_value());
    const auto second = budget.open("bob", 1'000);
    REQUIRE(second.has_value());
    CHECK(refusal(budget, "alice", 501) == ErrorCode::kOverloaded);
    const auto third = budget.open("alice", 500);
    REQUIRE(third.has_value());
    CHECK(budget.held().large == 2'500);
    CHECK(budget.held().small == 100);
  }
  CHECK(budget.held().large == 0);
  CHECK(budget.held().small == 0);
  CHECK(budget.open("mallory", 1'000).has_value());
}

TEST_CASE("uploads: many tiny ones are bounded as well") {
  const TemporaryFolder folder;
  publish::UploadBudget budget(folder.path(), kTight);
  std::vector<std::unique_ptr<session::Upload>> held;
  for (int i = 0; i < 20; ++i) held.push_back(budget.open("mallory", 1).value());
  CHECK(refusal(budget, "mallory", 1) == ErrorCode::kOverloaded);
  for (int i = 0; i < 10; ++i) held.push_back(budget.open("bob", 1).value());
  CHECK(refusal(budget, "alice", 1) == ErrorCode::kOverloaded);
  held.clear();
  CHECK(budget.open("mallory", 1).has_value());
}

TEST_CASE("uploads: what came is what is taken, from memory and from a file that has no name") {
  const TemporaryFolder folder;
  const auto place = folder.path() / "uploads";
  publish::UploadBudget budget(place, kTight);
  for (const size_t size : {size_t{100}, size_t{1'000}}) {
    const auto upload = budget.open("bob", size).value();
    const Bytes content(size, 'x');
    REQUIRE(upload->append(ByteView(content).substr(0, 60)));
    REQUIRE(upload->append(ByteView(content).substr(60)));
    CHECK(upload->take().value() == content);
    CHECK(budget.held().small + budget.held().large == size);
    CHECK((size == 100 || std::filesystem::is_empty(place)));
  }
}

TEST_CASE("uploads: a folder that cannot be written is the publisher's answer") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "a file";
  std::fclose(std::fopen(file.c_str(), "w"));
  publish::UploadBudget budget(file / "uploads", kTight);
  CHECK(refusal(budget, "bob", 1'000) == ErrorCode::kIo);
  CHECK(budget.held().large == 0);
}

// A session that counts what it is asked to hold.
struct Session {
  Session(serve::SendBudget& budget, std::vector<std::string>& ended, std::string name)
      : account(budget, [&ended, name = std::move(name)] { ended.push_back(name); }) {}
  serve::SendBudget::Account account;
};

TEST_CASE("sending: above the sum the slowest readers go first, and those who read stay") {
  serve::SendBudget budget({.bytes = 300'000, .artifact_bytes = 0, .grace_ms = 2'000});
  std::vector<std::string> ended;
  Session quick(budget, ended, "quick"), slow(budget, ended, "slow"), silent(budget, ended, "none");
  quick.account.set(100'000, 0, 0);
  slow.account.set(100'000, 0, 0);
  silent.account.set(90'000, 0, 0);
  quick.account.set(100'000, 900'000, 3'000);
  slow.account.set(100'000, 1'000, 3'000);
  CHECK(ended.empty());
  CHECK(budget.held().bytes == 290'000);
  quick.account.set(120'000, 0, 5'000);
  CHECK(ended == std::vector<std::string>{"none"});
  CHECK(budget.held().bytes == 220'000);
  quick.account.set(250'000, 0, 5'000);
  CHECK(ended == std::vector<std::string>{"none", "slow"});
  CHECK(budget.held().bytes == 250'000);
}

TEST_CASE("sending: where everybody is new, who asks for too much goes") {
  serve::SendBudget budget({.bytes = 300'000, .artifact_bytes = 0, .grace_ms = 2'000});
  std::vector<std::string> ended;
  Session first(budget, ended, "first"), second(budget, ended, "second");
  first.account.set(200'000, 0, 0);
  second.account.set(200'000, 0, 100);
  CHECK(ended == std::vector<std::string>{"second"});
  CHECK(budget.held().bytes == 200'000);
  second.account.set(250'000, 0, 200);  // until it is gone
  CHECK(ended.size() == 1);
}

TEST_CASE("sending: a session that ends gives back what it held, and little is not counted") {
  serve::SendBudget budget({.bytes = 300'000, .artifact_bytes = 0, .grace_ms = 0});
  std::vector<std::string> ended;
  {
    Session session(budget, ended, "a"), small(budget, ended, "b");
    session.account.set(200'000, 0, 0);
    small.account.set(serve::SendBudget::kSmallBytes - 1, 0, 0);
    CHECK(budget.held().bytes == 200'000);
    session.account.set(100, 199'900, 10);
    CHECK(budget.held().bytes == 0);
    session.account.set(50'000, 0, 20);
  }
  CHECK(budget.held().bytes == 0);
  CHECK(ended.empty());
}

TEST_CASE("sending: an artifact under way counts once, as long as somebody is sent it") {
  serve::SendBudget budget({.bytes = 1 << 20, .artifact_bytes = 1'000, .grace_ms = 2'000});
  std::vector<std::string> ended;
  Session slow(budget, ended, "slow");
  slow.account.set(60'000, 0, 0);
  const auto make = [](size_t bytes) { return std::make_shared<const Bytes>(bytes, 'a'); };
  const model::Content large = make(900), other = make(200);
  auto first = budget.hold(large, 0).value();
  auto second = budget.hold(large, 0).value();
  CHECK(*second == *large);
  CHECK(budget.held().artifact_bytes == 900);
  const auto refused = budget.hold(other, 5'000);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::kOverloaded);
  CHECK(ended == std::vector<std::string>{"slow"});
  first.reset();
  CHECK(budget.held().artifact_bytes == 900);
  second.reset();
  CHECK(budget.held().artifact_bytes == 0);
  CHECK(budget.hold(other, 5'000).has_value());
  // A single artifact always fits.
  CHECK(budget.hold(make(5'000), 0).has_value());
}

TEST_CASE("descriptors: the soft limit is raised to the hard one") {
  struct rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  struct rlimit low = before;
  low.rlim_cur = std::min<rlim_t>(before.rlim_max, 64);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  const auto raised = server::raise_descriptor_limit();
  struct rlimit after{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &after) == 0);
  CHECK(after.rlim_cur == before.rlim_max);
  CHECK(raised.value() == after.rlim_cur);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}

TEST_CASE("descriptors: strangers' handshakes do not take what sessions need") {
  const serve::AdmissionLimits wanted{.sessions_max = 50'000, .handshakes_max = 512};
  const serve::AdmissionLimits many = server::fit_descriptors(wanted, 1'000'000);
  CHECK(many.sessions_max == 50'000);
  CHECK(many.handshakes_max == 512);
  const serve::AdmissionLimits few = server::fit_descriptors(wanted, 1'024);
  CHECK(few.handshakes_max == 224);
  CHECK(few.sessions_max == 672);
  CHECK(few.sessions_max + few.handshakes_max < 1'024 - 100);
  const serve::AdmissionLimits none = server::fit_descriptors(wanted, 10);
  CHECK(none.sessions_max >= 1);
  CHECK(none.handshakes_max >= 1);
}

TEST_CASE("descriptors: configured sessions that do not fit are refused by what they need") {
  const serve::AdmissionLimits configured{.sessions_max = 19'000, .handshakes_max = 512};
  const auto fits = server::within_descriptors(configured, 20'000);
  REQUIRE(fits);
  CHECK(fits->sessions_max == 19'000);
  const auto refused = server::within_descriptors(configured, 10'000);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kConfig);
  const size_t possible = server::fit_descriptors(configured, 10'000).sessions_max;
  for (const std::string& part :
       {std::string("limits.sessions: 19000 "),
        fmt::format("need {} open files", server::descriptors_for(configured)),
        std::string("may open 10000"), fmt::format("to {} or less", possible)})
    CHECK_MESSAGE(refused.error().message.contains(part), refused.error().message);
  // The default is lowered instead. What the refusal says holds.
  CHECK(server::within_descriptors({.sessions_max = limits::kSessionsMax}, 10'000));
  CHECK(server::within_descriptors({.sessions_max = possible, .handshakes_max = 512}, 10'000));
  CHECK(server::within_descriptors(configured, server::descriptors_for(configured)));
}

TEST_CASE("handshakes: an address has a burst and a rate, and takes nothing from another") {
  serve::AddressRate rate({.burst = 10, .per_second = 2, .addresses_max = 3});
  const auto admitted = [&](const std::string& key, size_t times, TimeMs now_ms) {
    size_t count = 0;
    while (times-- > 0) count += rate.admit(key, now_ms) ? 1 : 0;
    return count;
  };
  CHECK(admitted("a", 100, 5'000) == 10);
  CHECK(admitted("b", 100, 5'000) == 10);
  CHECK(admitted("a", 100, 5'499) == 0);
  CHECK(admitted("a", 100, 5'500) == 1);
  CHECK(admitted("a", 100, 7'500) == 4);
  CHECK(admitted("a", 100, 1'000'000'000'000) == 10);
  // When there are too many addresses, the oldest one is forgotten.
  CHECK(admitted("c", 10, 1'000'000'000'000) == 10);
  CHECK(admitted("d", 10, 1'000'000'000'000) == 10);
  CHECK(rate.remembered() == 3);
  CHECK(admitted("a", 1, 1'000'000'000'000) == 0);
}

TEST_CASE("handshakes: a network of IPv6 is one address") {
  const auto key = [](const char* text) {
    return serve::AddressRate::key_of(boost::asio::ip::make_address(text));
  };
  CHECK(key("2001:db8::1") == key("2001:db8::ffff:1"));
  CHECK(key("2001:db8::1") != key("2001:db8:0:1::1"));
  CHECK(key("10.0.0.1") != key("10.0.0.2"));
  CHECK(key("::ffff:10.0.0.1") != key("::ffff:10.0.0.2"));
}

}  // namespace
}  // namespace notp
