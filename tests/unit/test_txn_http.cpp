// What the token endpoint keeps of its clients, and reads of the releases that decide.
#include <doctest/doctest.h>

#include "notp-client/txn/http/release_facts.hpp"
#include "notp-client/txn/http/token_endpoint.hpp"
#include "notp-client/txn/txn_limits.hpp"
#include "tests/support/agent/compositions.hpp"

namespace notp::txn {
namespace {

TEST_CASE("a client asks so often in a second, and so many times at once") {
  ClientLimits limits(3, 2);
  const std::string shop = "spiffe://td/shop", other = "spiffe://td/other";
  std::vector<ClientLimits::Place> open;
  const auto enter = [&](const std::string& who, TimeMs now_ms) {
    auto place = limits.enter(who, now_ms);
    const bool is_in = place.has_value();
    if (is_in) open.push_back(*std::move(place));
    return is_in;
  };
  CHECK(enter(shop, 1'000));
  CHECK(enter(shop, 1'000));
  const auto third = limits.enter(shop, 1'000);
  REQUIRE_FALSE(third);
  CHECK(third.error().refusal == Refusal::kBusy);
  CHECK(enter(other, 1'000));

  open.clear();
  CHECK(enter(shop, 1'000));
  open.clear();
  const auto fourth = limits.enter(shop, 1'000);
  REQUIRE_FALSE(fourth);
  CHECK(fourth.error().retry_after_ms == 334);
  CHECK_FALSE(enter(shop, 1'333));
  CHECK(enter(shop, 1'334));
  // A clock that goes back gives nothing, and takes nothing.
  open.clear();
  CHECK_FALSE(enter(shop, 500));
  CHECK(enter(shop, 10'000));
  open.clear();
  // A pause is worth a second at most.
  CHECK(enter(shop, 100'000));
  open.clear();
  CHECK(enter(shop, 100'000));
  open.clear();
  CHECK(enter(shop, 100'000));
  open.clear();
  CHECK_FALSE(enter(shop, 100'000));
}

TEST_CASE("of one address so many assertions fail in a second") {
  FailedAssertions failed;
  const auto fail = [&](const std::string& key, size_t times, TimeMs now_ms) {
    for (size_t i = 0; i < times; ++i) failed.count(key, now_ms);
  };
  fail("192.0.2.1", limits::kTxnAssertionFailuresPerSecond - 1, 5'000);
  CHECK(failed.wait_ms("192.0.2.1", 5'400) == 0);
  fail("192.0.2.1", 1, 5'400);
  CHECK(failed.wait_ms("192.0.2.1", 5'400) == 600);
  CHECK(failed.wait_ms("192.0.2.2", 5'400) == 0);
  CHECK(failed.wait_ms("192.0.2.1", 6'000) == 0);
  // The next second begins with the next failure; a clock that goes back ends it.
  fail("192.0.2.1", limits::kTxnAssertionFailuresPerSecond, 6'500);
  CHECK(failed.wait_ms("192.0.2.1", 7'499) == 1);
  CHECK(failed.wait_ms("192.0.2.1", 6'000) == 0);
  // Whoever has a network of IPv6 has one address.
  const auto key = &FailedAssertions::key_of;
  CHECK(key("2001:db8::1") == key("2001:db8::ffff:0:0:1"));
  CHECK(key("2001:db8::1") != key("2001:db8:0:1::1"));
  CHECK(key("::ffff:192.0.2.1") != key("::ffff:192.0.2.2"));
  CHECK(key("192.0.2.1") != key("192.0.2.2"));
  CHECK(key("unix") == "unix");
  // The table is bounded, and what has passed goes first.
  for (size_t i = failed.remembered(); i < limits::kTxnFailingAddressesMax; ++i)
    failed.count(std::to_string(i), 9'000);
  fail("last", limits::kTxnAssertionFailuresPerSecond, 9'100);
  CHECK(failed.remembered() == limits::kTxnFailingAddressesMax);
  CHECK(failed.wait_ms("last", 9'100) == 1'000);
  failed.count("one more", 9'200);
  CHECK(failed.remembered() <= limits::kTxnFailingAddressesMax);
}

std::string key_set(std::string_view issuer, const jose::SigningKey& key, std::string kid) {
  return json::serialize(json::object{
      {"issuer", issuer}, {"keys", json::array{key.public_jwk(std::move(kid)).canonical()}}});
}

TEST_CASE("keys and the deny list are those of the releases that decide") {
  const auto key = *jose::SigningKey::generate(jose::Algorithm::kEs256);
  const model::LedgerId denied = *model::LedgerId::parse("100000000000/denied");
  const ReleaseFactsOptions options{.keys = {"login", "other"}, .deny_list = denied};
  const std::string list =
      R"({"identities": {"spiffe://td/workload/stolen": {"reason": "stolen"}}})";
  size_t loads = 0;
  const auto read = [&](const ReleaseFacts& before, const TestComposition& of) {
    return read_facts(options, before, of.active_set, [&](const Hash& hash) {
      ++loads;
      return of.load(hash);
    });
  };
  const auto with = [&](std::string keys, std::string deny) {
    return compose({{.name = "login-keys",
                     .roots = {"keys/login"},
                     .files = {{"keys/login/data.json", std::move(keys)}}},
                    {.name = "denied",
                     .roots = {"notp/denied"},
                     .files = {{"notp/denied/data.json", std::move(deny)}}}});
  };

  const auto first = read({}, with(key_set("https://login", key, "k-1"), list));
  CHECK(loads == 2);
  REQUIRE(first.find("login"));
  CHECK(first.find("login", "https://login")->keys().size() == 1);
  CHECK(first.find("login", "https://evil") == nullptr);
  CHECK(first.find("other") == nullptr);
  CHECK(first.denied.identities.contains("spiffe://td/workload/stolen"));

  // What has not changed is not read again.
  const auto same = read(first, with(key_set("https://login", key, "k-1"), list));
  CHECK(loads == 2);
  CHECK(same.find("login") == first.find("login"));
  CHECK(same.denied.identities == first.denied.identities);

  const auto rotated = read(same, with(key_set("https://login", key, "k-2"), list));
  CHECK(rotated.find("login")->keys().front().kid() == "k-2");

  // A list that cannot be read denies whom the last one denied, and says so.
  const auto broken = read(rotated, with("{", R"({"identities": []})"));
  CHECK(broken.find("login") == nullptr);
  CHECK_FALSE(broken.denied_fault.empty());
  CHECK(broken.denied.identities.contains("spiffe://td/workload/stolen"));
  const auto mended = read(broken, with(key_set("https://login", key, "k-2"), list));
  CHECK(mended.denied_fault.empty());
  CHECK(mended.find("login"));

  // As at the registry, whichever documents of the model it is in.
  const auto divided =
      read(mended, compose({{.name = "denied",
                             .roots = {"notp/denied"},
                             .files = {{"notp/denied/data.json", list},
                                       {"notp/denied/identities/data.yaml",
                                        "'spiffe://td/workload/second': {reason: lost}\n"}}}}));
  CHECK(divided.denied_fault.empty());
  CHECK(divided.denied.identities.contains("spiffe://td/workload/stolen"));
  CHECK(divided.denied.identities.contains("spiffe://td/workload/second"));

  // Keys of a ledger that its terms deny are gone; who was denied stays so.
  auto expired = with(key_set("https://login", key, "k-2"), list);
  auto set = std::make_shared<pdp::ActiveSet>(*expired.active_set);
  for (auto& [ledger, release] : set->ledgers) release.freshness_status = status_at_age(7'200);
  expired.active_set = set;
  REQUIRE(set->ledgers.at(denied).freshness_status.denies());
  const auto late = read(mended, expired);
  CHECK(late.find("login") == nullptr);
  CHECK(late.denied.identities.contains("spiffe://td/workload/stolen"));
}

TEST_CASE(
    "the client is one SPIFFE id of the trust domain, in a good certificate that is valid now") {
  http::Peer peer;
  const auto refusal = [&](TimeMs now_ms = 5'000) {
    const auto workload = workload_of(peer, "td.internal", now_ms);
    return workload ? std::string() : std::string(workload.error().reason());
  };
  CHECK(refusal() == "no_certificate");
  peer.certificate.emplace();
  http::PeerCertificate& shown = *peer.certificate;
  shown.not_before_ms = 1'000;
  shown.not_after_ms = 9'000;
  shown.uris = {"spiffe://td.internal/ns/shop/sa/till"};
  CHECK(refusal().empty());
  CHECK(*workload_of(peer, "td.internal", 5'000) == shown.uris.front());
  CHECK(refusal(9'000) == "bad_certificate");
  CHECK(refusal(999) == "bad_certificate");
  shown.error_code = "certificate_untrusted";
  CHECK(refusal() == "bad_certificate");
  shown.error_code.clear();
  for (const std::string& uri :
       {std::string("spiffe://other.internal/ns/shop"), std::string("spiffe://td.internal"),
        std::string("https://td.internal/ns"), std::string("spiffe://td.internal/ns\0x", 25)}) {
    shown.uris = {uri};
    CHECK_MESSAGE(refusal() == "not_a_workload", uri);
  }
  shown.uris = {"spiffe://td.internal/a", "spiffe://td.internal/b"};
  CHECK(refusal() == "not_a_workload");
  shown.uris.clear();
  CHECK(refusal() == "not_a_workload");
}

TEST_CASE("a refusal says when to come again") {
  TokenError error = token_refused(Refusal::kBusy, "busy").error();
  error.retry_after_ms = 1'001;
  const http::Response busy = refusal_response(error);
  CHECK(busy.status == 429);
  CHECK(http::find_header(busy.headers, "Retry-After") == "2");
  CHECK(http::find_header(busy.headers, "Cache-Control") == "no-store");
  const http::Response bad = refusal_response(token_refused(Refusal::kAudience, "no").error());
  CHECK(bad.status == 400);
  CHECK(http::find_header(bad.headers, "Retry-After").empty());
  CHECK(bad.body.contains("invalid_target"));
}

}  // namespace
}  // namespace notp::txn
