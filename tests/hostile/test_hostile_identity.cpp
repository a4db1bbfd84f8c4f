// An authority with open registration of ids: none of its ids becomes a registry, an administrator,
// a publisher or another's node by the id it chose.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "protocol/wire/frame.hpp"
#include "tests/support/process/shared_authority.hpp"
#include "tests/support/process/shop_model.hpp"
#include "tests/support/wire/raw_tls_client.hpp"

namespace notp {
namespace {

struct SharedSite {
  SharedSite() {
    shared.configure(stack.registry_more,
                     json::array{identity_rule(spiffe("ns/payments/*"), "node"),
                                 identity_rule(spiffe("*"), "publisher")});
    stack.registry_more["tls"] = shared.tls(stack.file("pki/main"));
    stack.write_registry_config();
    stack.start_registry();
  }

  // The registry's refusal of a certificate with this id; empty: it was accepted.
  std::string refusal(const std::string& uri) {
    const std::string stem = stack.issue("intruder", shared.credential(), shared.svid(uri));
    return refusal_of(stem);
  }
  std::string refusal_of(const std::string& stem) {
    RawTlsClient client;
    client.credential = transport::TlsFiles{stem + ".crt", stem + ".key", {}, {}};
    client.says = wire::encode_frame(
                      wire::Hello{.versions = {wire::kProtocolVersion}, .user_agent = "intruder"}) +
                  wire::encode_frame(wire::Bye{});
    wire::FrameParser parser;
    parser.feed(client.run(static_cast<uint16_t>(stack.registry_port())));
    const auto message = parser.next();
    if (!message || !*message) return "closed";
    const auto* error = std::get_if<wire::ErrorMessage>(&**message);
    return error == nullptr ? "" : std::string(error_traits(error->code).name);
  }

  Stack stack;
  SharedAuthority shared{stack};
};

}  // namespace

TEST_CASE("no id of a shared authority has a built-in role, whatever pattern would cover it") {
  SharedSite site;
  const size_t opened = site.stack.count_events("session_opened");
  for (const char* path : {"registry/x",
                           "registry/main",
                           "admin/x",
                           "admin/eve",
                           "publisher/x",
                           "publisher/alice",
                           "node/x",
                           "node/edge-1",
                           "node/x%2Fy",
                           "Node/x/..",
                           "node/",
                           "ns/payments/",
                           "ns/payments//x",
                           "ns/payments/../admin",
                           "ns/payments/./x",
                           "ns/payments/%2e%2e/x",
                           "ns/payments/x/",
                           "ns/payments/x?y",
                           "ns/payments/x#y",
                           "ns/payments/x y",
                           "ns/payments/\xc3\xa9",
                           ""}) {
    CAPTURE(path);
    CHECK(site.refusal(spiffe(path)) == "identity");
  }
  const std::string domain(kStackDomain);
  for (const std::string& uri : std::vector<std::string>{
           "SPIFFE://" + domain + "/ns/payments/x",
           "spiffe://Core-Platform.internal/ns/payments/x",
           "spiffe://" + domain + ":443/ns/payments/x",
           "spiffe://u@" + domain + "/ns/payments/x",
           "spiffe://elsewhere.internal/ns/payments/x",
           "https://" + domain + "/ns/payments/x",
           "spiffe://" + domain,
           spiffe("ns/payments/" + std::string(2048, 'x')),
           spiffe("ns/payments/x") + std::string(1, '\0') + "y",
       }) {
    CAPTURE(uri);
    CHECK(site.refusal(uri) == "identity");
  }
  CHECK(site.stack.count_events("session_opened") == opened);
  // Ids of the same authority to which the configuration gives a role are accepted.
  CHECK(site.refusal(spiffe("ns/payments/sa/edge")).empty());
}

TEST_CASE("a CA, two ids and none are no identity under a shared authority either") {
  SharedSite site;
  const auto refused = [&](auto bend) {
    pki::LeafOptions leaf = site.shared.svid(spiffe("ns/payments/x"));
    bend(leaf);
    return site.refusal_of(site.stack.issue("bent", site.shared.credential(), leaf));
  };
  CHECK(refused([](auto& leaf) { leaf.is_ca = true; }) != "");
  CHECK(refused([](auto& leaf) { leaf.uris.push_back(spiffe("ns/payments/y")); }) == "identity");
  CHECK(refused([](auto& leaf) { leaf.uris.clear(); }) == "identity");
}

TEST_CASE("ids that begin with the same text have neither the role nor the rights of a pattern") {
  Stack stack;
  SharedAuthority shared(stack);
  shared.configure(stack.registry_more,
                   json::array{identity_rule(spiffe("ns/payments/*"), "node"),
                               identity_rule(spiffe("ns/payments-evil/*"), "publisher")});
  stack.registry_more["tls"] = shared.tls(stack.file("pki/main"));
  stack.rights = json::array{json::object{{"identity", spiffe("ns/payments/*")},
                                          {"ledgers", json::array{"*/*"}},
                                          {"actions", json::array{"read"}}}};
  stack.write_registry_config();
  stack.start_registry();
  stack.configure_cli("evil", shared.issue("evil", spiffe("ns/payments-evil/x")));
  stack.configure_cli("bare", shared.issue("bare", spiffe("ns/payments")));
  // A publisher by another entry, without the nodes' read right.
  CHECK(stack.notp("evil", {"history", kShop}).error_code() == "denied");
  CHECK(stack.notp("bare", {"history", kShop}).error_code() == "identity");
}

TEST_CASE("a node of a shared authority takes neither name, row nor key of one that enrolled") {
  SharedSite site;
  Stack& stack = site.stack;
  REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop}});
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  CHECK(site.refusal(spiffe("node/edge-1")) == "identity");
  // An accepted id is another node, with its own row.
  CHECK(site.refusal(spiffe("ns/payments/node/edge-1")).empty());
  CHECK(stack.is_at_head(agent, kShop));
  size_t named_alike = 0;
  for (const json::value& node : stack.nodes())
    if (text_at(node, "node").ends_with("/edge-1")) ++named_alike;
  CHECK(named_alike == 2);
  CHECK(text_at(stack.node(agent), "node") == agent.identity());
}

TEST_CASE("an agent takes nobody for its registry but by the same rules") {
  Stack stack;
  SharedAuthority shared(stack);
  stack.start_registry();
  REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
  stack.stop_registry();
  const json::array rules{identity_rule(spiffe("ns/notp/registry"), "registry"),
                          identity_rule(spiffe("ns/payments/*"), "node")};
  struct Row {
    const char* path;
    const char* why;
  };
  const std::string edge = shared.issue("edge", spiffe("ns/payments/edge"));
  int agents = 0;
  for (const Row& row :
       {Row{"registry/main", "built-in form"}, Row{"registry/x", "built-in form"},
        Row{"ns/notp/registry-2", "no role"}, Row{"ns/payments/evil", "not a registry"},
        Row{"ns/notp/registry/x", "no role"}}) {
    CAPTURE(row.path);
    const std::string stem = "false-registry";
    // The false registry itself has a valid configuration.
    json::object more = stack.registry_more;
    shared.configure(stack.registry_more, json::array{identity_rule(spiffe("*"), "registry")});
    stack.registry_more["identity"] =
        json::object{{"builtin_ca", shared.authority_file().string()}};
    stack.registry_more["tls"] = shared.tls(shared.issue(stem, spiffe(row.path)));
    stack.write_registry_config();
    stack.start_registry();
    AgentSetup setup{
        .name = fmt::format("edge-{}", ++agents), .ledgers = {kShop}, .certificate = edge};
    shared.configure(setup.more, rules);
    setup.more["tls"] = shared.tls(edge);
    const Agent& agent = stack.start_agent(setup);
    CHECK(wait_until([&] { return text_at(agent.status(), "last_error").contains(row.why); }));
    CHECK_FALSE(at(agent.status(), "connected").as_bool());
    stack.stop_registry();
    stack.registry_more = more;
  }
}

}  // namespace notp
