// What the agent's embedded engine decided and recorded, replayed from the records alone.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <thread>

#include "common/descriptor.hpp"
#include "tests/support/agent/recorded_node.hpp"
#include "tests/support/process/child_processes.hpp"
#include "tools/notp/audit/replay_text.hpp"

namespace notp {
namespace {

using cli::DecisionReplay;
using cli::ReplayedDecision;
using cli::ReplayReport;
using record::Replay;
using record::ReplayObstacle;

struct Site {
  explicit Site(const std::string& policy = kChancePolicy,
                const model::BuiltinGrants& builtins = {})
      : node(builtins), first(archive.add(signed_release(kShop, 1, shop_files(policy), {"shop"}))) {
    node.activate({&first});
  }
  cli::DecisionReplay replay(const cli::CandidateModel* candidate = nullptr) {
    return {archive, {.worker = test_worker(), .candidate = candidate}};
  }
  // All decisions so far.
  ReplayReport report(const cli::CandidateModel* candidate = nullptr) {
    RecordedLog recorded(node);
    DecisionReplay again = replay(candidate);
    auto made = cli::replay_decisions(recorded.registry, {}, UINT64_MAX, again);
    REQUIRE_MESSAGE(made, made.error().message);
    return *std::move(made);
  }
  // The newest one.
  ReplayedDecision last(const cli::CandidateModel* candidate = nullptr) {
    RecordedLog recorded(node);
    DecisionReplay again = replay(candidate);
    auto made = cli::replay_ids(recorded.registry,
                                {fmt::format("d-{}", node.log.seen().entries.size() - 1)}, again);
    REQUIRE_MESSAGE(made, made.error().message);
    return std::move(made->listed.at(0));
  }
  ReleaseShelf archive;
  RecordedNode node;
  const cli::PulledRelease& first;
};

cli::CandidateModel candidate(const std::string& policy) {
  return {kShop, {"shop"}, samples::model_of(shop_files(policy))};
}

std::string with(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a token is as valid as it was, though its signature is not in the record") {
  Site site;
  // The recorded decision lacks the signature: what the node answered has it.
  const auto& decision = site.node.ask("shop/signed", R"({"user":"ada"})");
  CHECK(decision.result->ends_with(".\""));
  CHECK(decision.masked ==
        std::vector<std::string>{"/result",
                                 "/nd_builtin_cache/io.jwt.encode_sign/[{\"alg\":\"HS256\",\"typ\":"
                                 "\"JWT\"},{\"exp\":4000000000,\"sub\":\"ada\"},\"\"]"});
  CHECK(site.last().verdict.replay == Replay::kSame);
}

TEST_CASE("another result is found, and a changed model shows what it changes") {
  Site site;
  for (int i = 0; i < 300; ++i)
    site.node.ask("shop/decision", Bytes(fmt::format(R"({{"user":"ada","amount":{}}})", i)));
  const cli::CandidateModel stricter =
      candidate(with(kChancePolicy, R"("allow": input.amount <= data.shop.limits.max)",
                     R"("allow": input.amount < 50)"));
  const ReplayReport report = site.report(&stricter);
  CHECK(report.differs == 51);
  CHECK(report.same == 249);
  CHECK(report.cannot == 0);
  CHECK(report.changes ==
        std::map<cli::OutcomeChange, uint64_t>{
            {{"shop/decision", record::Outcome::kAllow, record::Outcome::kDeny}, 51}});
  REQUIRE(report.listed.size() == 51);
  // The newest first.
  CHECK(report.listed[0].record.decision()->input == R"({"user":"ada","amount":100})");
  CHECK(report.listed[0].result->starts_with(R"({"allow":false)"));
  const cli::CandidateModel same = candidate(kChancePolicy);
  CHECK(site.report(&same).same == 300);
}

TEST_CASE("a model that does not compile changes nothing, and says why") {
  Site site;
  site.node.ask("shop/allow", "{}");
  const cli::CandidateModel broken = candidate("package shop\n\nallow if nothing(1)\n");
  RecordedLog recorded(site.node);
  DecisionReplay replay = site.replay(&broken);
  const auto report = cli::replay_decisions(recorded.registry, {}, 10, replay);
  REQUIRE_FALSE(report);
  CHECK(report.error().code == ErrorCode::kInvalidModel);
  CHECK(report.error().message.contains("shop/policy.rego:3"));
}

TEST_CASE("a difference of which a masked value may be the reason is none") {
  Site site;
  site.node.activate({&site.first}, {{model::MaskOp::kRemove, "/input/amount", {}}});
  site.node.ask("shop/decision", R"({"user":"ada","amount":7})");
  ReplayedDecision masked = site.last();
  CHECK(masked.verdict.replay == Replay::kCannot);
  CHECK(masked.verdict.obstacle == ReplayObstacle::kMasked);
  CHECK(masked.verdict.reason == "the result differs, and the record lacks /input/amount");
  // What the policy does not look at does not matter.
  site.node.activate({&site.first}, {{model::MaskOp::kRemove, "/input/note", {}}});
  site.node.ask("shop/conflict", R"({"note":"x","amount":7})");
  CHECK(site.last().verdict.replay == Replay::kSame);
  const cli::CandidateModel other = candidate("package shop\n\nconflict := input.amount\n");
  CHECK(site.last(&other).verdict.replay == Replay::kDiffers);
  const cli::CandidateModel reads =
      candidate("package shop\n\nconflict := [input.amount, input.note]\n");
  CHECK(site.last(&reads).verdict.obstacle == ReplayObstacle::kMasked);
  // In the result it is left out of the comparison.
  site.node.activate({&site.first}, {{model::MaskOp::kRemove, "/result/dice", {}},
                                     {model::MaskOp::kUpsert, "/result/rest/user", "\"***\""}});
  site.node.ask("shop/decision", R"({"user":"ada","amount":7})");
  CHECK_FALSE(site.node.log.last().result->contains("dice"));
  CHECK(site.last().verdict.replay == Replay::kSame);
  // Results of built-ins that were masked are missing.
  site.node.activate({&site.first}, {{model::MaskOp::kRemove, "/nd_builtin_cache/rand.intn", {}}});
  site.node.ask("shop/decision", R"({"user":"ada","amount":7})");
  masked = site.last();
  CHECK(masked.verdict.obstacle == ReplayObstacle::kNotRecorded);
  CHECK(masked.verdict.reason ==
        "the result of rand.intn was not recorded: results of built-ins were masked, or too large");
  CHECK(site.report().unrecorded == std::map<std::string, uint64_t>{{"rand.intn", 1}});
}

TEST_CASE("a connection of the policy is replayed from its recorded answer, never made again") {
  const Descriptor server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(::bind(server.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(server.get(), 16) == 0);
  REQUIRE(::getsockname(server.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  Site site(
      "package shop\n\ndecision := http.send({\"method\": \"GET\", \"url\": input.url, "
      "\"timeout\": \"20s\"}).status_code\n",
      model::BuiltinGrants(
          json::array{json::object{{"ledgers", {"*/*"}}, {"builtins", {"http.send"}}}}));
  const Bytes input = fmt::format(R"({{"url":"http://127.0.0.1:{}/"}})", ntohs(address.sin_port));
  std::thread answers([&] {
    const Descriptor peer(::accept(server.get(), nullptr, nullptr));
    constexpr std::string_view kAnswer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    char request[4096];
    CHECK(::recv(peer.get(), request, sizeof request, 0) > 0);
    CHECK(::send(peer.get(), kAnswer.data(), kAnswer.size(), 0) == std::ssize(kAnswer));
  });
  CHECK(site.node.ask("shop/decision", input).result == "204");
  answers.join();
  CHECK(site.last().verdict.replay == Replay::kSame);
  // As of an OPA that records no such results, or a record that lost them.
  site.node.log.change([](RecordingLog& log) {
    std::get<record::DecisionContent>(log.entries.back().content).nd_builtin_cache.clear();
  });
  const ReplayedDecision missing = site.last();
  CHECK(missing.verdict.replay == Replay::kCannot);
  CHECK(missing.verdict.obstacle == ReplayObstacle::kNotRecorded);
  CHECK(missing.verdict.reason == "the result of http.send was not recorded");
  pollfd waits{server.get(), POLLIN, 0};
  CHECK(::poll(&waits, 1, 0) == 0);
}

TEST_CASE("each decision meets the releases that decided it, and their state") {
  Site site;
  const cli::PulledRelease& second = site.archive.add(signed_release(
      kShop, 2,
      shop_files("package shop\n\ndecision := {\"v\": data.system.notp.ledgers.shop.version, "
                 "\"state\": data.system.notp.ledgers.shop.state, \"lib\": data.lib.name}\n"),
      {"shop"}));
  const cli::PulledRelease& library = site.archive.add(
      signed_release({100'000'000'001, "lib"}, 5,
                     {{"lib/policy.rego", "package lib\n\nname := \"a library\"\n"}}, {"lib"}));
  site.node.ask("shop/decision", R"({"user":"ada","amount":1})");
  site.node.activate({&second, &library});
  CHECK(site.node.ask("shop/decision", "{}").result ==
        R"({"lib":"a library","state":"untracked","v":2})");
  trust::FreshnessStatus stale;
  stale.state = trust::FreshnessState::kStale;
  site.node.activate({&second, &library}, {}, stale);
  CHECK(site.node.ask("shop/decision", "{}").result ==
        R"({"lib":"a library","state":"stale","v":2})");
  // Expired, and its publisher wants that denied.
  stale.state = trust::FreshnessState::kExpired;
  stale.terms.on_hard = trust::OnHard::kDeny;
  site.node.activate({&second, &library}, {}, stale);
  CHECK(site.node.ask("shop/decision", "{}").outcome == record::Outcome::kUndefined);
  CHECK(site.node.ask("lib/name", "{}").result == "\"a library\"");
  ReplayReport report = site.report();
  CHECK(report.same == 5);
  CHECK(report.total() == 5);
  CHECK(site.archive.pulls == 3);
  // A candidate for one ledger leaves the others as they were.
  const cli::CandidateModel other =
      candidate("package shop\n\ndecision := {\"lib\": data.lib.name}\n");
  report = site.report(&other);
  CHECK(report.differs == 3);
  CHECK(report.same == 2);
}

TEST_CASE("a release that is gone, another one, or not to be read, hinders only its decisions") {
  Site site;
  site.node.ask("shop/allow", "{}");
  const cli::PulledRelease& second = site.archive.add(
      signed_release(kShop, 2, shop_files("package shop\n\nallow := true\n"), {"shop"}));
  site.node.activate({&second});
  site.node.ask("shop/allow", "{}");
  const auto removed = site.archive.releases.extract({kShop, 1});
  ReplayReport report = site.report();
  CHECK(report.same == 1);
  CHECK(report.cannot == 1);
  CHECK(report.obstacles[static_cast<size_t>(ReplayObstacle::kReleaseMissing)] == 1);
  REQUIRE(report.listed.size() == 1);
  CHECK(report.listed[0].verdict.reason == "100000000001/shop v1: it was removed");
  site.archive.add(
      signed_release(kShop, 1, shop_files("package shop\n\nallow := false\n"), {"shop"}));
  report = site.report();
  CHECK(report.listed.at(0).verdict.reason ==
        "100000000001/shop v1: the registry has another release of this version");
  site.archive.refusal = Error{ErrorCode::kDenied, "no right", {}};
  CHECK(site.report().obstacles[static_cast<size_t>(ReplayObstacle::kReleaseMissing)] == 2);
  site.archive.refusal = Error{ErrorCode::kUnavailable, "no connection", {}};
  RecordedLog recorded(site.node);
  DecisionReplay replay = site.replay();
  const auto broken = cli::replay_decisions(recorded.registry, {}, 10, replay);
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code == ErrorCode::kUnavailable);
}

TEST_CASE("a decision that takes too long, or ends its worker, hinders no other one") {
  Site site(
      "package shop\n\nquick := input.n\n\nslow := count([1 | some i in numbers.range(1, "
      "input.n); some j in numbers.range(1, 3000); i * j < 0])\n");
  site.node.ask("shop/quick", R"({"n":1})");
  site.node.ask("shop/slow", R"({"n":20})");
  site.node.ask("shop/quick", R"({"n":2})");
  site.node.log.change([](RecordingLog& log) {
    std::get<record::DecisionContent>(log.entries[1].content).input = R"({"n":90000})";
  });
  RecordedLog recorded(site.node);
  DecisionReplay replay(site.archive, {.worker = test_worker(), .evaluation_ms = 500});
  const auto report = cli::replay_decisions(recorded.registry, {}, 10, replay);
  REQUIRE_MESSAGE(report, report.error().message);
  CHECK(report->same == 2);
  CHECK(report->obstacles[static_cast<size_t>(ReplayObstacle::kReplayFailed)] == 1);
  CHECK(report->listed.at(0).verdict.reason == "it was not done within 500 ms");
}

TEST_CASE("the report for people and as JSON") {
  Site site;
  for (int i = 0; i < 5; ++i)
    site.node.ask("shop/decision", Bytes(fmt::format(R"({{"user":"ada","amount":{}}})", i)));
  const cli::CandidateModel changed = candidate(
      with(kChancePolicy, R"("amount": input.amount)", R"("amount": [1 | input.amount == 3])"));
  const ReplayReport report = site.report(&changed);
  CHECK(report.differs == 5);
  const cli::Output output({});
  CHECK(cli::changes_table(output, report).contains("shop/decision  allow     allow, another  5"));
  CHECK(cli::obstacles_text(report).empty());
  const std::string text = cli::replayed_text(output, report.listed[0]);
  CHECK_MESSAGE(text.contains("\n  recorded  allow      {\"allow\":true,\"amount\":4,"), text);
  CHECK_MESSAGE(text.contains("\n  replayed  allow      {\"allow\":true,\"amount\":[],"), text);
  CHECK(text.ends_with("  differs\n"));
  const auto document = parse_json(cli::replay_json(report, {}));
  REQUIRE_MESSAGE(document, document.error().message);
  CHECK(document->at("differs") == 5);
  CHECK(document->at("listed").as_array().size() == 5);
  const json::value& first = document->at("listed").at(0);
  CHECK(first.at("verdict") == "differs");
  CHECK(first.at("recorded").at("result").at("amount") == 4);
  CHECK(first.at("replayed").at("result").at("amount") == json::array());
  CHECK(document->at("changes").at(0).at("count") == 5);
  CHECK(document->at("more") == false);
}

TEST_CASE("an id of no decision is not found") {
  Site site;
  site.node.ask("shop/allow", "{}");
  RecordedLog recorded(site.node);
  DecisionReplay replay = site.replay();
  const auto report = cli::replay_ids(recorded.registry, {"d-0", "d-7"}, replay);
  REQUIRE_FALSE(report);
  CHECK(report.error().code == ErrorCode::kNotFound);
}

}  // namespace notp
