#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/limits.hpp"
#include "protocol/session/identity.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

constexpr std::string_view kDomain = "core.internal";
std::string in_domain(std::string_view path) {
  return fmt::format("spiffe://{}/{}", kDomain, path);
}

session::IdentityRules rules(std::initializer_list<std::pair<const char*, const char*>> entries) {
  session::IdentityRules out;
  for (const auto& [path, role] : entries) must(out.add(in_domain(path), role, kDomain));
  return out;
}

session::IdentityPattern pattern(const std::string& text) {
  return must(session::IdentityPattern::parse(text, kDomain));
}

}  // namespace

TEST_CASE("a SPIFFE id is taken as it is written, or not at all") {
  for (const char* path : {"a", "ns/payments/sa/edge", "A.b_c-d/...", "node/x", "x/.a", "0"}) {
    const auto id = model::SpiffeId::parse(in_domain(path));
    REQUIRE_MESSAGE(id, path);
    CHECK(id->text() == in_domain(path));
    CHECK(id->path == path);
    CHECK(id->trust_domain == kDomain);
  }
  for (const std::string& bad : {std::string(),
                                 std::string("spiffe://"),
                                 std::string("spiffe://core.internal"),
                                 in_domain(""),
                                 in_domain("a/"),
                                 in_domain("a//b"),
                                 in_domain("/a"),
                                 in_domain("."),
                                 in_domain("a/./b"),
                                 in_domain("../a"),
                                 in_domain("a/.."),
                                 in_domain("a%2Fb"),
                                 in_domain("a b"),
                                 in_domain("a?b"),
                                 in_domain("a#b"),
                                 in_domain("a:b"),
                                 in_domain("a*"),
                                 in_domain("*"),
                                 in_domain("\xc3\xa9"),
                                 in_domain(std::string("a\0b", 3)),
                                 std::string("SPIFFE://core.internal/a"),
                                 std::string("spiffe://Core.internal/a"),
                                 std::string("spiffe://core.internal:1/a"),
                                 std::string("spiffe://u@core.internal/a"),
                                 std::string(" spiffe://core.internal/a"),
                                 std::string("https://core.internal/a")}) {
    const auto id = model::SpiffeId::parse(bad);
    CHECK_MESSAGE(!id, bad);
    if (!id) CHECK(id.error().code == ErrorCode::kIdentity);
  }
  const size_t room = limits::kIdentityBytesMax - in_domain("").size();
  CHECK(model::SpiffeId::parse(in_domain(std::string(room, 'a'))));
  CHECK_FALSE(model::SpiffeId::parse(in_domain(std::string(room + 1, 'a'))));
}

TEST_CASE("a pattern covers whole segments") {
  const auto below = must(model::SpiffePattern::parse(in_domain("ns/payments/*"), kDomain));
  for (const char* path : {"ns/payments/x", "ns/payments/sa/edge"})
    CHECK(below.covers(in_domain(path)));
  for (const char* path :
       {"ns/payments", "ns/payments-evil/x", "ns/paymentsx", "xns/payments/x", "ns"})
    CHECK_FALSE(below.covers(in_domain(path)));
  CHECK_FALSE(below.covers("spiffe://core.internal.evil/ns/payments/x"));
  const auto one = must(model::SpiffePattern::parse(in_domain("ns/x"), kDomain));
  CHECK(one.covers(in_domain("ns/x")));
  CHECK_FALSE(one.covers(in_domain("ns/x/y")));
  CHECK(must(model::SpiffePattern::parse(in_domain("*"), kDomain)).covers(in_domain("a/b")));
  for (const char* bad :
       {"ns/pay*", "*/x", "ns/*/x", "ns/**", "**", "", "ns//*", "ns/../*", "ns/%2a"}) {
    const auto parsed = model::SpiffePattern::parse(in_domain(bad), kDomain);
    CHECK_MESSAGE(!parsed, bad);
    if (!parsed) CHECK(parsed.error().code == ErrorCode::kConfig);
  }
  CHECK_FALSE(model::SpiffePattern::parse("spiffe://other.internal/ns/*", kDomain));
  CHECK_FALSE(model::SpiffePattern::parse("spiffe://core.internal*", kDomain));
}

TEST_CASE("the first rule decides, and an id that none covers has no role") {
  const session::IdentityRules table = rules(
      {{"ns/payments/registry", "registry"}, {"ns/payments/*", "node"}, {"ns/*", "publisher"}});
  const auto role = [&](std::string_view path) {
    return table.identify(in_domain(path), kDomain, false);
  };
  CHECK(must(role("ns/payments/registry")).role == session::Role::kRegistry);
  CHECK(must(role("ns/payments/x")).role == session::Role::kNode);
  CHECK(must(role("ns/payments-evil/x")).role == session::Role::kPublisher);
  const session::Identity node = must(role("ns/payments/sa/edge"));
  CHECK(node.name == in_domain("ns/payments/sa/edge"));
  CHECK(node.text() == node.name);
  CHECK(node.short_text() == node.name);
  CHECK_FALSE(node.is_built_in());
  CHECK_FALSE(role("other/x"));
  const auto foreign = table.identify("spiffe://other.internal/ns/payments/x", kDomain, true);
  REQUIRE_FALSE(foreign);
  CHECK(foreign.error().message.contains("another trust domain"));
}

TEST_CASE("no rule speaks for an id of the built-in form") {
  const session::IdentityRules table = rules({{"*", "admin"}, {"node/region/*", "node"}});
  for (const char* path : {"node/edge-1", "publisher/ci", "admin/eve", "registry/main"}) {
    CHECK_FALSE(table.identify(in_domain(path), kDomain, false));
    const session::Identity attested = must(table.identify(in_domain(path), kDomain, true));
    CHECK(attested.is_built_in());
    CHECK(attested.short_text() == path);
    CHECK(attested == must(session::Identity::parse(in_domain(path))));
  }
  // Three segments do not have that form.
  CHECK(must(table.identify(in_domain("node/region/x"), kDomain, false)).role ==
        session::Role::kAdmin);
  session::IdentityRules refused;
  for (const char* path : {"node/*", "node/edge-1", "registry/*", "admin/eve", "publisher/*"})
    CHECK_MESSAGE(!refused.add(in_domain(path), "node", kDomain), path);
  CHECK_FALSE(refused.add(in_domain("ns/*"), "root", kDomain));
  CHECK(refused.empty());
}

TEST_CASE("role/name means built-in ids, role/* the role, a URI the id") {
  const session::IdentityRules table = rules({{"ns/*", "node"}});
  const session::Identity mapped = must(table.identify(in_domain("ns/edge-1"), kDomain, false));
  const session::Identity built_in = must(session::Identity::parse(in_domain("node/edge-1")));
  CHECK(pattern("node/*").covers(mapped));
  CHECK(pattern("node/*").covers(built_in));
  CHECK(pattern("node/edge-*").covers(built_in));
  CHECK(pattern("node/edge-1").covers(built_in));
  for (const char* text : {"node/edge-*", "node/edge-1", "node/s*", "publisher/*"})
    CHECK_FALSE(pattern(text).covers(mapped));
  CHECK(pattern(in_domain("ns/*")).covers(mapped));
  CHECK(pattern(in_domain("ns/edge-1")).covers(mapped));
  CHECK(pattern(in_domain("node/*")).covers(built_in));
  CHECK_FALSE(pattern(in_domain("ns/*")).covers(built_in));
  for (const char* bad :
       {"node", "node/", "nodes/x", "node/a/b", "node/a*b", "*/x", "*", "node/.."})
    CHECK_MESSAGE(!session::IdentityPattern::parse(bad, kDomain), bad);

  const auto may_be = [&](session::Role role, const std::string& text, bool has_built_in) {
    return table.may_give(role, pattern(text), kDomain, has_built_in);
  };
  CHECK(may_be(session::Role::kNode, in_domain("ns/x"), false));
  CHECK(may_be(session::Role::kNode, in_domain("*"), false));
  CHECK_FALSE(may_be(session::Role::kNode, in_domain("other/*"), false));
  CHECK(may_be(session::Role::kNode, in_domain("node/x"), true));
  CHECK_FALSE(may_be(session::Role::kNode, in_domain("node/x"), false));
  CHECK(may_be(session::Role::kNode, "node/*", false));
  CHECK_FALSE(may_be(session::Role::kNode, "node/edge-1", false));
  CHECK_FALSE(may_be(session::Role::kRegistry, "registry/*", false));
  CHECK(may_be(session::Role::kRegistry, "registry/main", true));
}

}  // namespace notp
