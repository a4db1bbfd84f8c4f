// The replay gate: what a manifest says, what a node's core makes of it, and what a gate counts.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "notp-client/agent/core/activation.hpp"
#include "notp-client/agent/core/gate_tally.hpp"
#include "protocol/model/manifest.hpp"
#include "tests/support/agent/agent_parts.hpp"

namespace notp {
namespace {

using samples::kLedger;
using wire::CommitState;

const model::LedgerId kOther{kLedger.zone, "shipping"};

// --- the manifest

std::string with_gate(const std::string& gate) {
  return R"({"metadata":{"name":"payments"},"runtimes":{"rego":{"language":{"name":"rego","version":"1.0"}}},
             "partitions":{"/":{"runtime":"rego"}},"roots":["authz"],"gate":)" +
         gate + "}";
}

TEST_CASE("a manifest says how many decisions a gate evaluates, and how many may differ") {
  const auto gate = [](const std::string& text) {
    const auto manifest = model::Manifest::parse(with_gate(text));
    REQUIRE_MESSAGE(manifest, manifest.error().message);
    REQUIRE(manifest->gate);
    return *manifest->gate;
  };
  CHECK(gate(R"({"replay":{"decisions":1000,"allow":"0.1%"}})") == model::GateTerms{1'000, 1'000});
  CHECK(gate(R"({"replay":{}})") == model::GateTerms{1'000, 0});
  CHECK(gate(R"({"replay":{"decisions":100,"allow":"0.001%"}})") == model::GateTerms{100, 10});
  CHECK(gate(R"({"replay":{"decisions":10000,"allow":"100%"}})") ==
        model::GateTerms{10'000, 1'000'000});
  CHECK(gate(R"({"replay":{"allow":"12.5%"}})").allow_ppm == 125'000);
}

TEST_CASE("a gate that a manifest cannot have") {
  for (const char* text :
       {R"({})", R"({"replay":{"decisions":99}})", R"({"replay":{"decisions":10001}})",
        R"({"replay":{"allow":"0.1"}})", R"({"replay":{"allow":"0.0001%"}})",
        R"({"replay":{"allow":"100.001%"}})", R"({"replay":{"allow":"-1%"}})",
        R"({"replay":{"allow":"%"}})", R"({"replay":{"allow":"1.%"}})",
        R"({"replay":{"allow":".5%"}})", R"({"replay":{"allow":0.1}})",
        R"({"replay":{"more":1}})"}) {
    const auto manifest = model::Manifest::parse(with_gate(text));
    REQUIRE_MESSAGE(!manifest, text);
    CHECK(manifest.error().code == ErrorCode::kInvalidModel);
    CHECK_MESSAGE(manifest.error().message.find("gate") != std::string::npos,
                  manifest.error().message);
  }
}

TEST_CASE("a share is read and written exactly") {
  for (const auto& [text, ppm] : {std::pair{"0%", 0u},
                                  {"0.001%", 10u},
                                  {"0.1%", 1'000u},
                                  {"1%", 10'000u},
                                  {"33.333%", 333'330u},
                                  {"100%", 1'000'000u}}) {
    CHECK(model::parse_share_ppm(text) == ppm);
    CHECK(model::share_text(ppm) == text);
  }
}

// --- what a gate counts

agent::GateTally tally_of(uint64_t same, uint64_t differing) {
  agent::GateTally tally;
  for (uint64_t i = 0; i < same; ++i) tally.add_same();
  for (uint64_t i = 0; i < differing; ++i)
    tally.add_different({std::to_string(i), "authz/allow", "true", "false"});
  return tally;
}

TEST_CASE("a gate holds what exceeds its share, and has no judgement of few decisions") {
  using enum agent::GateJudgement;
  const model::GateTerms allow_a_thousandth{1'000, 1'000};
  CHECK(tally_of(999, 1).judgement(allow_a_thousandth) == kPasses);
  CHECK(tally_of(998, 2).judgement(allow_a_thousandth) == kHolds);
  CHECK(tally_of(998, 1).judgement(allow_a_thousandth) == kHolds);
  CHECK(tally_of(0, 99).judgement(allow_a_thousandth) == kTooFew);
  CHECK(tally_of(99, 1).judgement({1'000, 0}) == kHolds);
  CHECK(tally_of(0, 100).judgement({1'000, 1'000'000}) == kPasses);
  agent::GateTally uncounted = tally_of(99, 0);
  for (int i = 0; i < 1'000; ++i) uncounted.add_uncounted();
  CHECK(uncounted.judgement(allow_a_thousandth) == kTooFew);
}

TEST_CASE("what is held says how many, and shows the first differences shortened") {
  agent::GateTally tally = tally_of(990, 9);
  const std::string secret(5'000, 'x');
  agent::GateTally first;
  first.add_different({"id-1", "authz/allow", agent::gate_result("{\"a\":\"" + secret + "\"}", ""),
                       agent::gate_result(std::nullopt, "eval_conflict_error")});
  tally.examples.insert(tally.examples.begin(), first.examples.front());
  const Error error = agent::gate_held(kLedger, 7, tally, {1'000, 1'000});
  CHECK(error.code == ErrorCode::kGateHeld);
  CHECK(
      error.message.starts_with("9 of this node's last 999 recorded decisions come out "
                                "differently with " +
                                kLedger.text() +
                                " v7, its manifest allows 0.1%\n"
                                "id-1 authz/allow: error eval_conflict_error "
                                "instead of {\"a\":\"xxx"));
  CHECK(error.message.size() < limits::kErrorTextBytesMax);
  CHECK(error.message.find("\n0 authz/allow: false instead of true") != std::string::npos);
  CHECK(tally_of(0, 100).examples.size() == agent::kGateDifferencesMax);
  CHECK(agent::gate_result(std::nullopt, "") == "undefined");
}

// --- the core

constexpr uint64_t kHourS = 3'600, kDayS = 24 * kHourS;

void last_a_month(trust::Release& release) {
  release.fresh_s = kHourS;
  release.hard_s = 30 * kDayS;
  release.on_hard = trust::OnHard::kDeny;
}

// A release without a gate.
TestRelease plain(const TestRelease* previous = nullptr) {
  return make_release(previous, last_a_month);
}

// A release whose manifest has a gate.
TestRelease gated(const TestRelease* previous, const model::LedgerId& ledger = kLedger) {
  static const Bytes kManifest = R"({"gate":{"replay":{}}})";
  const Bytes text = fmt::format("package {}\nversion := {}", ledger.name,
                                 previous ? previous->release.version + 1 : 1);
  TestRelease out = make_release(previous, [&](trust::Release& release) {
    model::Files files;
    files.emplace("a.rego", model::FileEntry{model::blob_hash(text), text.size()});
    files.emplace("manifest.json", model::FileEntry{model::blob_hash(kManifest), kManifest.size()});
    release.ledger = ledger;
    release.data_roots = {ledger.name};
    release.content_root = model::Tree::make(files).value().content_root();
    release.total_bytes = text.size() + kManifest.size();
    release.file_count = 2;
    last_a_month(release);
  });
  model::Files files;
  files.emplace("a.rego", model::FileEntry{model::blob_hash(text), text.size()});
  files.emplace("manifest.json", model::FileEntry{model::blob_hash(kManifest), kManifest.size()});
  out.tree = std::make_shared<const model::Tree>(model::Tree::make(std::move(files)).value());
  out.blobs.clear();
  for (const Bytes& blob : {text, kManifest})
    out.blobs.emplace(model::blob_hash(blob), std::make_shared<const Bytes>(blob));
  return out;
}

struct GateNode : AgentNode {
  explicit GateNode(std::vector<model::LedgerId> ledgers = {kLedger})
      : AgentNode(samples::signed_by(samples::tracked_root(), {1}).encode(), std::move(ledgers)) {
    boot();
    connect();
  }
  uint64_t version(const model::LedgerId& ledger = kLedger) const {
    return decides(ledger).version;
  }
  bool has_held(uint64_t number) const {
    return std::ranges::any_of(commits, [&](const wire::Commit& commit) {
      return commit.version == number && commit.state == CommitState::kRejected &&
             error_code_from_wire(commit.code) == ErrorCode::kGateHeld &&
             commit.message == "12 of 1000 come out differently";
    });
  }
  void release(uint64_t number, const model::LedgerId& ledger = kLedger) {
    send(wire::ReleaseHeld{ledger, number});
  }
};

// Its gate holds v2.
struct HeldNode : GateNode {
  const TestRelease v1 = plain(), v2 = gated(&v1);

  HeldNode() {
    gate_holds = {2};
    send_release(v1);
    send_release(v2);
  }
};

using Judged = std::vector<std::pair<model::LedgerId, uint64_t>>;

TEST_CASE("a release with a gate is judged when it replaces one, and reported when it is held") {
  GateNode node;
  node.gate_holds = {2};
  const TestRelease v1 = gated(nullptr), v2 = gated(&v1);
  node.send_release(v1);
  CHECK(node.judged.empty());  // it replaces nothing
  CHECK(node.version() == 1);
  node.send_release(v2);
  CHECK(node.judged == Judged{{kLedger, 2}});
  CHECK(node.version() == 1);
  CHECK(node.has_held(2));
  CHECK(node.ledger_status().rejected_version == 2);
  // The next version is tried for itself.
  node.send_release(gated(&v2));
  CHECK(node.judged == Judged{{kLedger, 2}, {kLedger, 3}});
  CHECK(node.version() == 3);
}

TEST_CASE("a release without a gate, or that was decided with before, is not judged") {
  GateNode node;
  const TestRelease v1 = plain(), v2 = gated(&v1);
  node.send_release(v1);
  node.send_release(v2);
  CHECK(node.judged.size() == 1);
  CHECK(node.version() == 2);
  node.restart();
  CHECK(node.version() == 2);
  CHECK(node.judged.size() == 1);
  node.connect();
  node.send_release(plain(&v2));
  CHECK(node.version() == 3);
  CHECK(node.judged.size() == 1);
}

TEST_CASE("what is held stays held over a restart, until a person lets it go") {
  HeldNode node;
  node.restart();
  CHECK(node.version() == 1);
  CHECK(node.judged.size() == 1);
  node.commits.clear();
  node.connect({}, {trust::ref_of(node.v2.release, node.v2.hash)});
  CHECK(node.has_held(2));  // with its code
  node.release(3);          // another one
  CHECK(node.version() == 1);
  node.release(2);
  CHECK(node.version() == 2);
  CHECK(node.ledger_status().rejected_version == 0);
  node.restart();
  CHECK(node.version() == 2);
  CHECK(node.judged.size() == 1);
}

TEST_CASE(
    "a release that was let go is not judged again, although the node ends before it decides") {
  HeldNode node;
  node.pdp_cannot_read = {2};
  node.release(2);
  CHECK(node.version() == 1);
  node.pdp_cannot_read.clear();
  node.restart();
  CHECK(node.version() == 2);
  CHECK(node.judged.size() == 1);
}

TEST_CASE("only what a gate holds is let go") {
  GateNode node;
  node.pdp_refuses = {2};
  const TestRelease v1 = plain(), v2 = gated(&v1);
  node.send_release(v1);
  node.send_release(v2);
  node.pdp_refuses.clear();
  node.release(2);
  CHECK(node.version() == 1);
  CHECK(node.ledger_status().rejected_version == 2);
}

TEST_CASE(
    "a node that ends while a gate judges decides with the release before, and judges again") {
  GateNode node;
  const TestRelease v1 = plain(), v2 = gated(&v1);
  node.send_release(v1);
  node.delays_gates = true;
  node.send_release(v2);
  CHECK(node.version() == 1);
  node.restart();
  CHECK(node.version() == 1);
  node.gate_holds = {2};
  node.finish_gates();
  CHECK(node.judged == Judged{{kLedger, 2}});
  CHECK(node.version() == 1);
}

TEST_CASE("a withdrawal ends a gate, and what replaces the withdrawn release is not judged") {
  GateNode node;
  node.gate_holds = {2, 3};
  const TestRelease v1 = plain(), v2 = gated(&v1);
  node.send_release(v1);
  node.attest(v1);
  SUBCASE("while the gate judges") {
    node.delays_gates = true;
    node.send_release(v2);
    CHECK(node.version() == 1);
  }
  SUBCASE("before the next release arrives") {}
  trust::FreshHead head = AgentNode::head(v2);
  head.withdrawn = {v1.hash};
  node.attest({head});
  if (!node.delays_gates) {
    CHECK(node.denies());
    node.send_release(v2);
  }
  CHECK(node.version() == 2);
  CHECK_FALSE(node.denies());
  CHECK(node.judged.empty());
}

TEST_CASE("an expired release is replaced without a gate") {
  GateNode node;
  node.gate_holds = {2};
  const TestRelease v1 = plain(), v2 = gated(&v1);
  node.send_release(v1);
  node.attest(v1);
  node.disconnect();
  node.advance(static_cast<TimeMs>(v1.release.hard_s) * 1'000 + 1);
  CHECK(node.denies());
  node.connect();
  node.send_release(v2);
  CHECK(node.version() == 2);
  CHECK(node.judged.empty());
}

TEST_CASE("of two ledgers, the one whose gate holds is held, and the other goes on") {
  GateNode node({kLedger, kOther});
  const TestRelease v1 = gated(nullptr), o1 = gated(nullptr, kOther);
  const TestRelease v2 = gated(&v1), o2 = gated(&o1, kOther), o3 = gated(&o2, kOther);
  node.send_release(v1);
  node.send_release(o1);
  node.delays_gates = true;
  node.send_release(v2);
  node.send_release(o2);
  node.send_release(o3);
  node.gate_holds = {3};
  for (int i = 0; i < 5; ++i) node.finish_gates();
  CHECK(node.version(kLedger) == 2);
  CHECK(node.version(kOther) == 1);
  CHECK(node.has_held(3));
}

TEST_CASE("a gate delays nothing else") {
  GateNode node({kLedger, kOther});
  const TestRelease v1 = plain(), o1 = gated(nullptr, kOther);
  const TestRelease v2 = gated(&v1);
  node.send_release(v1);
  node.send_release(o1);
  node.attest({AgentNode::head(v1), AgentNode::head(o1)});
  node.delays_gates = true;
  node.send_release(v2);
  CHECK(node.version() == 1);
  // Another ledger's release is withdrawn.
  trust::FreshHead head = AgentNode::head(o1);
  head.withdrawn = {o1.hash};
  node.attest({AgentNode::head(v2), head});
  CHECK(node.decides(kOther).freshness_status.denies());
  CHECK(node.version() == 1);
  node.finish_gates();
  CHECK(node.version() == 2);
}

TEST_CASE("news of key sources does not make a gate begin again, and is shown when it has ended") {
  GateNode node;
  const TestRelease v1 = plain(), v2 = gated(&v1);
  node.send_release(v1);
  node.delays_gates = true;
  node.send_release(v2);
  const size_t before = node.activations;
  node.send(wire::SourceStatus{
      {{"login", "https://login.internal", kLedger, wire::IssuerState::kFailing, 1}}});
  CHECK(node.activations == before);
  CHECK_FALSE(node.sources);
  node.finish_gates();
  CHECK(node.judged == Judged{{kLedger, 2}});
  CHECK(node.version() == 2);
  REQUIRE(node.sources);
  CHECK(node.sources->issuers[0].state == wire::IssuerState::kFailing);
}

TEST_CASE("an older release is a way back, and not judged") {
  GateNode node;
  const TestRelease v1 = gated(nullptr), v2 = gated(&v1), v3 = gated(&v2);
  node.send_release(v1);
  node.send_release(v2);
  node.pdp_refuses = {3};
  node.send_release(v3);
  CHECK(node.version() == 2);
  CHECK(node.judged == Judged{{kLedger, 2}, {kLedger, 3}});
  node.restart();
  CHECK(node.version() == 2);
  CHECK(node.judged.size() == 2);
}

TEST_CASE(
    "a release that arrives while the first one is with the PDP waits for it, and is judged") {
  AgentPartsSite site({stored(plain())});
  site.reports.begin_session();
  agent::Activation activation(site.parts());
  activation.update(/*again=*/true);
  const auto first = site.all<agent::effect::Activate>();
  REQUIRE(first.size() == 1);
  site.clear();
  const TestRelease v1 = plain();
  store::StoredRelease v2 = stored(gated(&v1));
  v2.has_gate = true;
  site.releases.add(std::move(v2), {1});
  activation.update(/*again=*/false);
  CHECK(site.all<agent::effect::Activate>().empty());
  activation.on_activated(first[0].desired);
  const auto second = site.all<agent::effect::Activate>();
  REQUIRE(second.size() == 1);
  CHECK(second[0].releases.at(kLedger).stored.ref.version == 2);
  CHECK(second[0].releases.at(kLedger).is_gated);
}

TEST_CASE("a gate that could not judge is an alarm") {
  GateNode node;
  node.core().on_gate_failed({ErrorCode::kUnavailable, "no policy worker starts", {}}, node.now);
  CHECK(node.core().status().alarms == std::vector<std::string>{"no policy worker starts"});
}

}  // namespace
}  // namespace notp
