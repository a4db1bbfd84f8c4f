// A site with its own authority: the ids that it issues, and how it replaces certificates.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "tests/support/process/shared_authority.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

const std::string kEdge = spiffe("ns/payments/sa/edge");

json::array rules() {
  return {identity_rule(spiffe("ns/notp/registry"), "registry"),
          identity_rule(spiffe("ns/ci/*"), "publisher"),
          identity_rule(spiffe("ns/payments/*"), "node")};
}

// Everything except the stack's own publishers has an id of the site's authority.
struct Site {
  Site() {
    shared.configure(stack.registry_more, rules());
    stack.registry_more["tls"] =
        shared.tls(shared.issue("svid-registry", spiffe("ns/notp/registry")));
    stack.rights.push_back({{"identity", spiffe("ns/payments/*")},
                            {"ledgers", json::array{kShop}},
                            {"actions", json::array{"read"}}});
    stack.write_registry_config();
    stack.start_registry();
    trust_both("alice");
    trust_both("eve");
  }

  // A CLI configuration that accepts the registry by its id.
  void trust_both(const std::string& who) {
    stack.configure_cli(who, stack.file("pki/" + who), shared.bundle_file());
    json::object config =
        json::parse(must(read_file(stack.file(who + ".cli.yaml"), 1 << 20))).as_object();
    config["registry_identity"] = spiffe("ns/notp/registry");
    must(write_file(stack.file(who + ".cli.yaml"), json::serialize(config)));
  }

  AgentSetup setup(const std::string& name, const std::string& stem) {
    AgentSetup out{.name = name, .ledgers = {kShop}, .certificate = stem};
    shared.configure(out.more, rules());
    out.more["tls"] = shared.tls(stem);
    out.registry_identity = spiffe("ns/notp/*");
    return out;
  }

  json::value row(const std::string& identity) {
    for (const json::value& node : stack.nodes())
      if (text_at(node, "node") == identity) return node;
    return {};
  }

  Stack stack;
  SharedAuthority shared{stack};
};

}  // namespace

TEST_CASE("a node with an id of the site's authority is known by the whole id everywhere") {
  Site site;
  Stack& stack = site.stack;
  REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
  Agent& agent = stack.start_agent(site.setup("edge", site.shared.issue("svid-edge", kEdge)));
  CHECK(wait_until([&] { return agent.has_active(kShop, 1); }));
  CHECK(wait_until([&] { return !site.row(kEdge).is_null(); }));
  // Its freshness statements are for the whole id.
  CHECK(wait_until([&] { return text_at(agent.ledger_status(kShop), "state") == "fresh"; }));
  const CliResult shown = stack.notp("eve", {"node", "show", kEdge});
  CHECK_MESSAGE(shown.status == 0, shown.error);

  // The registry does not track the keys of its renewed certificates.
  CHECK(stack.count_events("key_not_kept") == 0);
}

TEST_CASE("certificates of an hour are replaced under a session, and no decision is lost") {
  Site site;
  Stack& stack = site.stack;
  const std::filesystem::path shop = write_shop_model(stack);
  REQUIRE(stack.published(shop, kShop) == 1);
  const std::string stem = site.shared.issue("svid-edge", kEdge);
  site.shared.replace(stem, kEdge, 8'000);
  Agent& agent = stack.start_agent(site.setup("edge", stem));
  REQUIRE(wait_until([&] { return agent.has_active(kShop, 1); }));

  std::atomic<bool> done = false;
  std::atomic<size_t> asked = 0, failed = 0;
  std::thread client([&] {
    while (!done) {
      try {
        if (!agent.decide("shop/allow", json::object{})) ++failed;
      } catch (const std::exception&) {
        ++failed;
      }
      ++asked;
    }
  });
  TimeMs first_ended_ms = read_clock().wall_ms + 8'000;
  for (int round = 0; round < 4; ++round) {
    const size_t before = agent.count_events("certificates_reloaded");
    site.shared.replace(stem, kEdge, round < 3 ? 8'000 : 3'600'000);
    CHECK(wait_until([&] { return agent.count_events("certificates_reloaded") > before; }));
  }
  // The first session's certificate has expired, and the node is connected.
  CHECK(wait_until([&] {
    return read_clock().wall_ms > first_ended_ms && at(agent.status(), "connected") == true &&
           stack.count_events("session_opened") >= 2;
  }));
  set_users(shop, "\"kim\"");
  REQUIRE(stack.published(shop, kShop) == 2);
  CHECK(wait_until([&] { return agent.has_active(kShop, 2); }));
  done = true;
  client.join();
  CHECK(asked > 0);
  CHECK(failed == 0);
  CHECK(site.row(kEdge).is_null() == false);
}

TEST_CASE("files that are written again and again are read, and only what changed is told") {
  Site site;
  Stack& stack = site.stack;
  const std::string stem = stack.file("pki/svid-registry");
  const size_t rights = stack.count_events("rights_reloaded");
  for (int round = 0; round < 3; ++round) {
    const size_t read = stack.count_events("certificates_reloaded");
    // Like a tool that fetches the same files again; later changes are still detected.
    for (const char* ending : {".crt", ".key"})
      must(write_file(stem + ending, must(read_file(stem + ending, 1 << 20))));
    site.shared.replace(stem, spiffe("ns/notp/registry"), 3'600'000);
    CHECK(wait_until([&] { return stack.count_events("certificates_reloaded") > read; }));
  }
  CHECK(stack.count_events("rights_reloaded") == rights);
  stack.rights.pop_back();
  stack.write_registry_config();
  CHECK(wait_until([&] { return stack.count_events("rights_reloaded") > rights; }));
}

TEST_CASE("a node of the site's authority is shut out and let in again by its whole id") {
  Site site;
  Stack& stack = site.stack;
  REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
  stack.registry_more["deny_list"] = kDenyList;
  stack.write_registry_config();
  stack.stop_registry();
  stack.start_registry();
  Agent& agent = stack.start_agent(site.setup("edge", site.shared.issue("svid-edge", kEdge)));
  REQUIRE(wait_until([&] { return agent.has_active(kShop, 1); }));
  const CliResult evicted = stack.notp("alice", {"node", "evict", kEdge, "--reason", "stolen"});
  CHECK_MESSAGE(evicted.status == 0, evicted.error);
  CHECK(wait_until([&] { return stack.count_events("session_refused", "revoked") > 0; }));
  CHECK(wait_until([&] { return text_at(agent.status(), "last_error").contains(kEdge); }));
  CHECK(stack.notp("alice", {"node", "readmit", kEdge}).status == 0);
  CHECK(wait_until([&] { return at(agent.status(), "connected") == true; }));
  // A mistyped role is not taken for another id.
  const CliResult mistyped =
      stack.notp("alice", {"node", "evict", "nod/edge-1", "--reason", "stolen"});
  CHECK(mistyped.error_code() == "usage");
}

TEST_CASE("a role that the configuration takes away ends the open session") {
  Site site;
  Stack& stack = site.stack;
  REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
  Agent& agent = stack.start_agent(site.setup("edge", site.shared.issue("svid-edge", kEdge)));
  REQUIRE(wait_until([&] { return agent.has_active(kShop, 1); }));
  stack.registry_more["identities"] =
      json::array{identity_rule(spiffe("ns/notp/registry"), "registry")};
  stack.write_registry_config();
  stack.reload_registry();
  CHECK(wait_until([&] { return stack.count_events("session_refused", "identity") > 0; }));
  CHECK(wait_until([&] { return stack.count_events("handshake_refused", "identity") > 0; }));
  CHECK(agent.decide("shop/allow", json::object{}).has_value());
}

}  // namespace notp
