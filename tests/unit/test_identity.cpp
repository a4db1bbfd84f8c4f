// Admission of peers: the deny list, join tokens, enrolment and renewal, without a network.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "common/crypto/certificate.hpp"
#include "common/storage/sqlite.hpp"
#include "notp-client/identity/certificate_renewal.hpp"
#include "notp-server/enroll/enrollment.hpp"
#include "notp-server/enroll/identity_limits.hpp"
#include "notp-server/enroll/join_rate_limiter.hpp"
#include "protocol/transport/join_token.hpp"
#include "tests/support/registry/enrollment_fixture.hpp"

using namespace notp;

namespace {

template <typename T>
ErrorCode code_of(const Result<T>& result) {
  return result ? ErrorCode{} : result.error().code;
}

const Hash kKey = sha256("the key of a session");

}  // namespace

// --- the deny list

TEST_CASE("a deny list denies whom its newest release names") {
  authz::DenyList list(kDenied);
  const std::string edge = test_uri("node", "edge-1"), other = test_uri("node", "edge-2");
  CHECK(code_of(list.check(edge)) == ErrorCode{});
  must(list.update(deny_release(1, deny_document({"edge-1"}))));
  CHECK(code_of(list.check(edge)) == ErrorCode::kRevoked);
  CHECK(list.check(edge).error().message.contains("stolen"));
  CHECK(code_of(list.check(other)) == ErrorCode{});
  must(list.update(deny_release(2, deny_document({"edge-2"}))));
  CHECK(code_of(list.check(edge)) == ErrorCode{});
  CHECK(code_of(list.check(other)) == ErrorCode::kRevoked);

  // Two publishes that finish in reverse order.
  must(list.update(deny_release(1, deny_document({}))));
  CHECK(list.version() == 2);
  CHECK(code_of(list.check(other)) == ErrorCode::kRevoked);
  // After a recovery, a lower version of a higher epoch is newer.
  must(list.update(deny_release(1, deny_document({}), 1)));
  CHECK(code_of(list.check(other)) == ErrorCode{});
}

TEST_CASE("a deny list that is not wholly understood is refused, and the one in force stays") {
  authz::DenyList list(kDenied);
  must(list.update(deny_release(1, deny_document({"edge-1"}))));
  const std::string id = test_uri("node", "edge-2");
  const std::string bad[] = {
      "{}",
      "[]",
      R"({"identities": []})",
      R"({"identities": {}, "more": 1})",
      R"({"identities": {"edge-2": {"reason": "x"}}})",
      R"({"identities": {"spiffe://core-platform.internal/king//a": {"reason": "x"}}})",
      R"({"identities": {")" + id + R"(": "stolen"}})",
      R"({"identities": {")" + id + R"(": {}}})",
      R"({"identities": {")" + id + R"(": {"reason": 1}}})",
      R"({"identities": {")" + id + R"(": {"reason": "x", "until": 5}}})",
      R"({"identities": {")" + id + R"(": {"reason": "x", "since": 5}}})",
      "{",
  };
  uint64_t version = 2;
  for (const std::string& document : bad) {
    CAPTURE(document);
    const auto findings = must(authz::check_deny_list(samples::model_of(deny_model(document))));
    REQUIRE_FALSE(findings.empty());
    CHECK(findings.front().rule == "deny-list");
    CHECK(code_of(list.update(deny_release(version++, document))) == ErrorCode::kInvalidModel);
    CHECK(list.version() == 1);
    CHECK(list.find(test_uri("node", "edge-1")) == "stolen");
  }
  CHECK(must(authz::check_deny_list(samples::model_of(deny_model(deny_document({"a", "b"})))))
            .empty());
  CHECK(must(authz::check_deny_list(samples::model_of(deny_model(deny_document({}))))).empty());
  CHECK(must(authz::check_deny_list(samples::model_of(deny_model(
                 R"({"identities": {")" + id + R"(": {"reason": "x", "since": "now"}}})"))))
            .empty());
  CHECK_FALSE(must(authz::check_deny_list(samples::model_of({{"manifest.json", "{}"}}))).empty());
}

// --- the token's text

TEST_CASE("a join token is read back, and one that was copied badly is not") {
  const transport::JoinToken token{.address = "registry.internal:7444",
                                   .registry = "[::1]:7443",
                                   .trust_domain = std::string(kTestDomain),
                                   .authority = sha256("ca"),
                                   .secret = Bytes(transport::JoinToken::kSecretBytes, '\xff')};
  const std::string text = token.encode();
  const transport::JoinToken read = must(transport::JoinToken::decode(text));
  CHECK(read.address == token.address);
  CHECK(read.registry == token.registry);
  CHECK(read.trust_domain == token.trust_domain);
  CHECK(read.authority == token.authority);
  CHECK(read.proof() == token.proof());
  CHECK(text.find_first_of("+/= ") == std::string::npos);

  for (size_t i = 0; i < text.size(); ++i) {
    CAPTURE(i);
    std::string wrong = text;
    wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
    CHECK_FALSE(transport::JoinToken::decode(wrong));
    CHECK_FALSE(transport::JoinToken::decode(text.substr(0, i)));
  }
  CHECK_FALSE(transport::JoinToken::decode(text + "A"));
  CHECK_FALSE(transport::JoinToken::decode(text + "\n"));
}

// --- enrolment

TEST_CASE("a token makes one identity, of the node that it was made for, once") {
  Office office;
  const transport::JoinToken token = must(office.token("edge-1"));
  CHECK(token.registry == "127.0.0.1:2");
  std::string node;
  const auto joined =
      must(office.enrollment->join({token.proof(), office.request}, office.now, &node));
  CHECK(node == "edge-1");
  CHECK(joined.root_chain == std::vector<Bytes>{sample_root()});
  CHECK(joined.certificate.authorities == office.pki.authority().certificate_pem);
  Error why;
  CHECK(office.join(token, &why) == ErrorCode::kJoinRefused);
  CHECK(why.message.contains("used before"));
  CHECK(office.enrollment->joined_total() == 1);
}

TEST_CASE("tokens that are unknown, expired, altered or of a denied node are refused") {
  Office office;
  Error why;
  transport::JoinToken token = must(office.token("edge-1", 60'000));
  transport::JoinToken altered = token;
  altered.secret.back() = static_cast<char>(altered.secret.back() ^ 1);
  CHECK(office.join(altered, &why) == ErrorCode::kJoinRefused);
  CHECK(why.message.contains("unknown"));
  CHECK_FALSE(office.enrollment->join({"not hexadecimal", office.request}, office.now));
  // The registry's stored hash does not work as a token.
  CHECK_FALSE(office.enrollment->join({sha256(token.secret).hex(), office.request}, office.now));

  must(office.denied.update(deny_release(1, deny_document({"edge-1"}))));
  CHECK(office.join(token) == ErrorCode::kRevoked);
  CHECK_FALSE(office.token("edge-1"));
  must(office.denied.update(deny_release(2, deny_document({}))));

  office.now += 60'000;
  CHECK(office.join(token, &why) == ErrorCode::kJoinRefused);
  CHECK(why.message.contains("expired"));
}

TEST_CASE("a join that fails leaves its token as it was") {
  Office office;
  const transport::JoinToken token = must(office.token("edge-1"));
  const auto refused = office.enrollment->join({token.proof(), "no request"}, office.now);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kMessage);
  CHECK(office.join(token) == ErrorCode{});
}

TEST_CASE("of several that race for one token, one wins") {
  Office office;
  const transport::JoinToken token = must(office.token("edge-1"));
  std::atomic<int> won{0}, lost{0};
  {
    std::vector<std::jthread> racers;
    for (int i = 0; i < 8; ++i)
      racers.emplace_back([&] { ++(office.join(token) == ErrorCode{} ? won : lost); });
  }
  CHECK(won == 1);
  CHECK(lost == 7);
}

TEST_CASE("tokens outlive the process, and used ones stay used") {
  Office office;
  const transport::JoinToken used = must(office.token("edge-1")),
                             open = must(office.token("edge-2"));
  CHECK(office.join(used) == ErrorCode{});
  office.tokens.reset();
  const auto again = must(enroll::JoinTokens::open(office.folder.path() / "tokens.db"));
  const auto use = [&](const transport::JoinToken& token, std::string_view key) {
    return code_of(again->use(sha256(token.secret), sha256(key), office.now,
                              [](const std::string&) -> Result<std::string> { return "pem"; }));
  };
  CHECK(use(used, "a") == ErrorCode::kJoinRefused);
  CHECK(use(open, "a") == ErrorCode{});
  CHECK(use(open, "b") == ErrorCode::kJoinRefused);
}

TEST_CASE("no token for a name that is none, for too long, or for ever more nodes") {
  Office office;
  for (const char* name : {"a/b", "..", "", "ä", "a b"}) {
    CAPTURE(name);
    const auto token = office.token(name);
    REQUIRE_FALSE(token);
    CHECK(token.error().code == ErrorCode::kUsage);
  }
  CHECK_FALSE(office.token("edge-1", static_cast<uint64_t>(limits::kJoinTokenMsMax) + 1));
}

TEST_CASE("a node renews its own certificate as long as it is not denied; nobody else does") {
  Office office;
  const session::Identity node{std::string(kTestDomain), session::Role::kNode, "edge-1"};
  const auto renewed = must(office.enrollment->renew({office.request}, node, kKey, office.now));
  CHECK(renewed.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
  for (const session::Role role :
       {session::Role::kAdmin, session::Role::kPublisher, session::Role::kRegistry}) {
    const auto refused = office.enrollment->renew({office.request}, {node.trust_domain, role, "x"},
                                                  kKey, office.now);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kDenied);
  }
  must(office.denied.update(deny_release(1, deny_document({"edge-1"}))));
  const auto denied = office.enrollment->renew({office.request}, node, kKey, office.now);
  REQUIRE_FALSE(denied);
  CHECK(denied.error().code == ErrorCode::kRevoked);
}

// --- names and keys

TEST_CASE("a node whose answer was lost gets its certificate again, with the same key alone") {
  Office office;
  const transport::JoinToken token = must(office.token("edge-1", 60'000));
  const auto join = [&] {
    return office.enrollment->join({token.proof(), office.request}, office.now);
  };
  const std::string first = must(join()).certificate.certificate;
  CHECK(must(join()).certificate.certificate == first);
  CHECK(office.enrollment->joined_total() == 1);
  Error why;
  CHECK(office.join(token, &why) == ErrorCode::kJoinRefused);
  CHECK(why.message.contains("used before"));
  must(office.denied.update(deny_release(1, deny_document({"edge-1"}))));
  CHECK(code_of(join()) == ErrorCode::kRevoked);
  must(office.denied.update(deny_release(2, deny_document({}))));
  // Another process, with the same result.
  office.reopen_tokens();
  CHECK(must(join()).certificate.certificate == first);
  office.now += 60'000;
  CHECK(code_of(join()) == ErrorCode::kJoinRefused);
}

TEST_CASE("a token that was used long ago gives nothing to a key that has lost the name") {
  Office office;
  const transport::JoinToken first = must(office.token("edge-1"));
  CHECK(office.join_with(first, office.request) == ErrorCode{});
  CHECK(office.join(must(office.token("edge-1", 60'000, true))) == ErrorCode{});
  CHECK(office.join_with(first, office.request) == ErrorCode::kJoinRefused);
}

TEST_CASE("a name that is known here is given away by --replace alone") {
  Office office;
  const transport::JoinToken early = must(office.token("edge-1")),
                             other = must(office.token("edge-1"));
  CHECK(office.join(early) == ErrorCode{});
  const auto refused = office.token("edge-1");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kConflict);
  CHECK(refused.error().message.contains("--replace"));
  // A token made before the name was taken.
  Error why;
  CHECK(office.join(other, &why) == ErrorCode::kJoinRefused);
  CHECK(why.message.contains("--replace"));
  // Nor the name of a node with a certificate from another source.
  const session::Identity seen{std::string(kTestDomain), session::Role::kNode, "edge-2"};
  CHECK(office.enrollment->changes_key(seen, kKey));
  must(office.enrollment->seen_key(seen, kKey));
  CHECK_FALSE(office.enrollment->changes_key(seen, kKey));
  CHECK(code_of(office.token("edge-2")) == ErrorCode::kConflict);
  CHECK(office.join(must(office.token("edge-2", 60'000, true))) == ErrorCode{});
}

TEST_CASE("a join that replaces shuts the other keys of its name out, and nobody else's") {
  Office office;
  const session::Identity node{std::string(kTestDomain), session::Role::kNode, "edge-1"};
  const Hash mine = must(CertificateRequest::read(office.request)).key_hash();
  const auto lets_in = [&](const Hash& key) {
    return office.enrollment->check_key(node, key).has_value();
  };
  CHECK(office.join(must(office.token("edge-1"))) == ErrorCode{});
  // Before: any node with a certificate.
  CHECK(lets_in(kKey));
  CHECK(office.join_with(must(office.token("edge-1", 60'000, true)), office.request) ==
        ErrorCode{});
  CHECK(office.replaced == std::vector<std::string>{node.text()});
  CHECK(lets_in(mine));
  CHECK_FALSE(lets_in(kKey));
  CHECK(code_of(office.enrollment->check_key(node, kKey)) == ErrorCode::kRevoked);
  // A denied node cannot renew either.
  CHECK(code_of(office.enrollment->renew({office.request}, node, kKey, office.now)) ==
        ErrorCode::kRevoked);
  CHECK(lets_in(mine));
  for (const session::Identity& other :
       {session::Identity{node.trust_domain, session::Role::kNode, "edge-2"},
        session::Identity{node.trust_domain, session::Role::kPublisher, "edge-1"}})
    CHECK(office.enrollment->check_key(other, kKey));
  office.reopen_tokens();
  CHECK(lets_in(mine));
  CHECK_FALSE(lets_in(kKey));
}

TEST_CASE("a renewal moves the name to the new key, and the former is good until that is seen") {
  Office office;
  const session::Identity node{std::string(kTestDomain), session::Role::kNode, "edge-1"};
  const auto key_of = [](const Bytes& request) {
    return must(CertificateRequest::read(request)).key_hash();
  };
  const auto lets_in = [&](const Hash& key) {
    return office.enrollment->check_key(node, key).has_value();
  };
  const Bytes next = must(make_certificate_request()).request,
              lost = must(make_certificate_request()).request;
  const Hash first_key = key_of(office.request), next_key = key_of(next);
  CHECK(office.join_with(must(office.token("edge-1", 60'000, true)), office.request) ==
        ErrorCode{});
  must(office.enrollment->renew({lost}, node, first_key, office.now));
  CHECK(lets_in(key_of(lost)));
  // Its answer was lost: the next attempt replaces it.
  must(office.enrollment->renew({next}, node, first_key, office.now));
  CHECK_FALSE(lets_in(key_of(lost)));
  CHECK(lets_in(first_key));
  CHECK(lets_in(next_key));
  CHECK_FALSE(office.enrollment->changes_key(node, first_key));
  CHECK(office.enrollment->changes_key(node, next_key));
  office.replaced.clear();
  must(office.enrollment->seen_key(node, next_key));
  CHECK(office.replaced == std::vector<std::string>{node.text()});
  CHECK_FALSE(lets_in(first_key));
  CHECK(lets_in(next_key));
  office.reopen_tokens();
  CHECK_FALSE(lets_in(first_key));
  CHECK(lets_in(next_key));
}

TEST_CASE("tokens of the earlier format are taken over in one step") {
  TemporaryFolder folder;
  const auto file = folder.path() / "tokens.db";
  const Hash open = sha256("open"), used = sha256("used");
  {
    const auto old = must(open_database(file));
    old->exec(
        "CREATE TABLE tokens (secret BLOB PRIMARY KEY, node TEXT NOT NULL, issuer TEXT NOT NULL, "
        "expires_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
        "PRAGMA user_version = 1;");
    for (const auto& [secret, used_ms] : {std::pair{open, 0}, {used, 5}})
      old->exec(fmt::format("INSERT INTO tokens VALUES (x'{}', 'edge-1', 'eve', 1000, {})",
                            secret.hex(), used_ms));
  }
  for (int i = 0; i < 2; ++i) {
    const auto tokens = must(enroll::JoinTokens::open(file));
    const auto use = [&](const Hash& secret) {
      return code_of(tokens->use(secret, kKey, 10,
                                 [](const std::string&) -> Result<std::string> { return "pem"; }));
    };
    CHECK(use(used) == ErrorCode::kJoinRefused);
    CHECK(use(open) == ErrorCode{});
  }
}

TEST_CASE("used tokens are kept for lost answers, the newest of them alone") {
  TemporaryFolder folder;
  const auto tokens = must(enroll::JoinTokens::open(folder.path() / "tokens.db"));
  const auto secret_of = [](size_t i) { return sha256(fmt::format("secret {}", i)); };
  const auto use = [&](size_t i) {
    return code_of(tokens->use(secret_of(i), kKey, static_cast<TimeMs>(i + 1),
                               [](const std::string&) -> Result<std::string> { return "pem"; }));
  };
  for (size_t i = 0; i <= limits::kUsedTokensMax; ++i) {
    must(tokens->add({.secret = secret_of(i),
                      .node = "edge-1",
                      .issuer = "eve",
                      .expires_ms = kHourMs,
                      .replaces = true},
                     0));
    CHECK(use(i) == ErrorCode{});
  }
  CHECK(use(0) == ErrorCode::kJoinRefused);
  CHECK(use(1) == ErrorCode{});
  CHECK(use(limits::kUsedTokensMax) == ErrorCode{});
}

TEST_CASE("so many tokens are out, so many names are known, and one more is refused") {
  TemporaryFolder folder;
  const auto file = folder.path() / "tokens.db";
  must(enroll::JoinTokens::open(file));
  {
    const auto database = must(open_database(file));
    database->exec(fmt::format(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO "
        "tokens (secret, node, issuer, expires_ms, used_ms) SELECT randomblob(32), 'waits-' || i, "
        "'eve', 1000, 0 FROM n",
        limits::kJoinTokensMax - 2));
    database->exec(fmt::format(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO "
        "nodes (node, key, former, is_bound) SELECT 'node-' || i, randomblob(32), NULL, 0 FROM n",
        limits::kKnownNodesMax));
  }
  const auto tokens = must(enroll::JoinTokens::open(file));
  const auto add = [&](const std::string& node, TimeMs now_ms) {
    return code_of(tokens->add({.secret = sha256(node),
                                .node = node,
                                .issuer = "eve",
                                .expires_ms = 2000,
                                .replaces = true},
                               now_ms));
  };
  const auto use = [&](const std::string& node) {
    return code_of(tokens->use(sha256(node), kKey, 1,
                               [](const std::string&) -> Result<std::string> { return "pem"; }));
  };
  CHECK(add("node-1", 0) == ErrorCode{});
  CHECK(add("new", 0) == ErrorCode{});
  CHECK(add("one-more", 0) == ErrorCode::kLimit);

  CHECK(use("new") == ErrorCode::kLimit);
  CHECK(code_of(tokens->seen("new", kKey)) == ErrorCode::kLimit);
  CHECK(code_of(tokens->renewed("new", kKey, kKey)) == ErrorCode::kLimit);
  // Known ones are not refused.
  CHECK(use("node-1") == ErrorCode{});
  CHECK(code_of(tokens->renewed("node-1", kKey, kKey)) == ErrorCode{});
  // A used token frees a slot, and so does time.
  CHECK(add("one-more", 1) == ErrorCode{});
  CHECK(add("another", 1) == ErrorCode::kLimit);
  CHECK(add("another", 1000) == ErrorCode{});
}

// --- repeated failures

TEST_CASE("an address that fails too often is not listened to until its window is over") {
  enroll::JoinRateLimiter throttle(3);
  CHECK_FALSE(throttle.failed("a", 0));
  CHECK_FALSE(throttle.failed("a", 1));
  CHECK_FALSE(throttle.is_blocked("a", 2));
  CHECK(throttle.failed("a", 2));
  CHECK(throttle.is_blocked("a", 3));
  CHECK_FALSE(throttle.is_blocked("b", 3));
  CHECK(throttle.is_blocked("a", limits::kJoinFailureWindowMs - 1));
  CHECK_FALSE(throttle.is_blocked("a", limits::kJoinFailureWindowMs));
  CHECK_FALSE(throttle.failed("a", limits::kJoinFailureWindowMs));
  CHECK_FALSE(throttle.is_blocked("a", limits::kJoinFailureWindowMs));
}

TEST_CASE("addresses are forgotten, oldest first, before they take memory") {
  enroll::JoinRateLimiter throttle(1);
  for (size_t i = 0; i <= limits::kJoinAddressesMax; ++i) throttle.failed(std::to_string(i), 0);
  CHECK_FALSE(throttle.is_blocked("0", 0));
  CHECK(throttle.is_blocked("1", 0));
  CHECK(throttle.is_blocked(std::to_string(limits::kJoinAddressesMax), 0));
}

// --- renewal at the node

TEST_CASE("a certificate is renewed from half of its life on, and not all at once") {
  constexpr TimeMs kLife = 100 * kHourMs;
  TimeMs first = kNever, last = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SeededRandom random(seed);
    identity::CertificateRenewal renewal(random);
    renewal.hold(0, kLife);
    first = std::min(first, renewal.due_ms());
    last = std::max(last, renewal.due_ms());
    CHECK_FALSE(renewal.is_due({renewal.due_ms() - 1, 0}));
    CHECK(renewal.is_due({renewal.due_ms(), 0}));
    CHECK_FALSE(renewal.is_due({kLife, 0}));  // ended: no registry accepts it
  }
  CHECK(first >= kLife / 2);
  CHECK(last <= kLife * 6 / 10);
  CHECK(last - first > kLife / 20);
}

TEST_CASE("a renewal has nothing to look at before its deadline, and something at it") {
  SeededRandom random(1);
  identity::CertificateRenewal renewal(random);
  Now now{0, 5'000};
  CHECK(renewal.next_deadline(now) == kNever);
  constexpr TimeMs kLife = 100 * kHourMs;
  renewal.hold(0, kLife);
  const auto move_to = [&](TimeMs boot_ms) {
    now = {now.wall_ms + (boot_ms - now.boot_ms), boot_ms};
    renewal.tick(now);
    return renewal.is_due(now);
  };
  const TimeMs due_ms = renewal.next_deadline(now);
  CHECK(due_ms == 5'000 + renewal.due_ms());
  CHECK_FALSE(move_to(due_ms - 1));
  CHECK(move_to(due_ms));
  CHECK(renewal.next_deadline(now) == due_ms);
  renewal.asked(now);
  const TimeMs answer_by_ms = renewal.next_deadline(now);
  CHECK(answer_by_ms == due_ms + limits::kRenewAnswerMs);
  CHECK_FALSE(move_to(answer_by_ms));  // it failed
  const TimeMs again_ms = renewal.next_deadline(now);
  CHECK(again_ms > answer_by_ms);
  CHECK_FALSE(move_to(again_ms - 1));
  CHECK(move_to(again_ms));
  // Setting a clock moves the deadline; after the end there is none.
  CHECK(renewal.next_deadline({0, now.boot_ms}) == now.boot_ms + renewal.due_ms());
  CHECK(renewal.next_deadline({kLife, now.boot_ms}) == kNever);
}

TEST_CASE("a renewal that is not answered or fails is tried again, more often towards the end") {
  SeededRandom random(1);
  identity::CertificateRenewal renewal(random);
  constexpr TimeMs kLife = 1000 * kHourMs;
  renewal.hold(0, kLife);
  Now now{renewal.due_ms(), 5'000};
  renewal.asked(now);
  CHECK(renewal.is_waiting());
  CHECK_FALSE(renewal.is_due(now));
  now.boot_ms += limits::kRenewAnswerMs;
  renewal.tick(now);
  CHECK_FALSE(renewal.is_waiting());
  CHECK_FALSE(renewal.is_due(now));

  const auto wait = [&] {
    TimeMs waited = 0;
    while (!renewal.is_due({now.wall_ms, now.boot_ms + waited})) waited += 1'000;
    return waited;
  };
  CHECK(wait() <= 10'000);
  for (int i = 0; i < 20; ++i) renewal.failed(now);
  CHECK(wait() > 20 * 60'000);
  CHECK(wait() <= kHourMs);
  now.wall_ms = kLife - 8 * 60'000;
  renewal.failed(now);
  CHECK(wait() <= 60'000);

  renewal.hold(kLife / 2, 2 * kLife);
  CHECK_FALSE(renewal.is_due(now));
}
