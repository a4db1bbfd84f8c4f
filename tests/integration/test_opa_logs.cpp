// Decisions of an unmodified OPA on their way into the log, with the real program.
#include <doctest/doctest.h>

#include <boost/asio.hpp>
#include <future>
#include <random>
#include <regex>
#include <set>
#include <thread>

#include "common/http/client.hpp"
#include "common/http/server.hpp"
#include "common/storage/files.hpp"
#include "notp-client/opa_log/file_feed.hpp"
#include "notp-client/opa_log/logs_route.hpp"
#include "notp-client/opa_log/opa_log_metrics.hpp"
#include "notp-client/opa_log/source_poll.hpp"
#include "notp-client/pdp/opa_config.hpp"
#include "notp-client/pdp/opa_pdp.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/kept_log.hpp"
#include "tests/support/agent/opa_models.hpp"
#include "tests/support/agent/report_queue.hpp"
#include "tests/support/process/opa_process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kRules =
    "package payments\n\n"
    "allow if input.amount <= data.payments.limits.max\n\n"
    "told := {\"allow\": input.amount < 10, \"seen\": time.now_ns()}\n\n"
    "echo := input\n\n"
    "clash := 1 if input.a\n\nclash := 2 if input.b\n\n"
    "drawn := rand.intn(\"x\", 1000)\n";

using LogsAnswer = std::function<std::optional<http::Response>(http::Response)>;

// An agent's feeds on loopback, with a log in memory, and an OPA that uses them.
struct Host {
  explicit Host(pdp::OpaLogs logs, std::vector<model::MaskRule> masks = {}) : logs_(logs) {
    auto release = compose({payments(1, Bytes(kRules))});
    auto with_terms = std::make_shared<pdp::ActiveSet>(*release.active_set);
    auto terms = std::make_shared<model::DecisionTerms>();
    terms->mask = std::move(masks);
    with_terms->ledgers.begin()->second.terms = terms;
    set = with_terms;
    revisions.remember(set);
    open_intake();
    on_agent([&] {
      pdp = std::make_unique<pdp::OpaPdp>(context.get_executor(), pool, test_checker(),
                                          pdp::OpaOptions{.url = opa_url, .status_poll_ms = 200});
      pdp->start(reports.sink());
      pdp->activate(set, release.load);
    });
    const auto handler = [this](const http::Request& request) -> asio::awaitable<http::Response> {
      if (request.path == "/status") co_return co_await pdp->status_post(request);
      if (request.path != "/logs") co_return co_await pdp->bundle_request(request);
      if (refuse_uploads) co_return http::error_response(503, "audit_unavailable", "not now");
      http::Response response = co_await opa_log::OpaLogRoute(*intake, pool).logs_post(request);
      last_upload_status = static_cast<int>(response.status);
      if (lose_answers.fetch_sub(1) > 0) co_return http::error_response(500, "lost", "lost");
      co_return response;
    };
    auto listening = http::Server::listen(context.get_executor(), http::TcpEndpoint{}, {}, handler);
    REQUIRE(listening);
    server = *std::move(listening);
    config = pdp::opa_config({.agent_url = fmt::format("http://127.0.0.1:{}", server->port()),
                              .token_path = (folder.path() / "opa-token").string(),
                              .logs = logs,
                              .log_file = log_file().string()});
    REQUIRE(write_file(folder.path() / "opa-token", "a secret\n", 0600));
  }
  ~Host() {
    opa.reset();
    poll.reset();
    feed.reset();
    // The last requests of an OPA that has ended may still be read, so what answers them goes last.
    on_agent([&] { server.reset(); });
    work.reset();
    context.stop();
    thread.join();
    pdp.reset();
    pool.join();
  }
  std::filesystem::path log_file() const { return folder.path() / "opa-log" / "decisions.jsonl"; }
  void on_agent(std::function<void()> action) {
    std::promise<void> done;
    asio::post(context, [&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
  void open_intake() {
    auto opened = opa_log::Intake::open(
        {.folder = folder.path(),
         .log = log,
         .log_id = {},
         .read_log = [this](auto from, auto& each) { return log.read(from, each); },
         .revisions = revisions});
    REQUIRE_MESSAGE(opened, opened.error().message);
    intake = *std::move(opened);
  }
  void follow() {
    if (logs_ == pdp::OpaLogs::kFile)
      feed = std::make_unique<opa_log::FileFeed>(
          *intake, opa_log::FileFeedOptions{.file = log_file(), .poll_ms = 20});
    poll = std::make_unique<opa_log::SourcePoll>(
        *intake, opa_log::SourcePollOptions{.url = opa_url, .poll_ms = 100});
  }
  // Further arguments: files of policies, beside the agent's bundle.
  void start_opa(const std::vector<std::string>& arguments = {}) {
    opa.reset();
    REQUIRE(write_file(folder.path() / "opa.yaml", config));
    std::vector<std::string> options = {"--config-file", "opa.yaml", "--log-level", "error"};
    options.insert(options.end(), arguments.begin(), arguments.end());
    opa.emplace(opa_process(folder.path(), opa_port, options));
    CHECK(wait_until([&] {
      const auto answer = http::call_blocking({.url = opa_url + "/health?bundles"});
      return answer && answer->status == 200;
    }));
  }
  http::Response ask(std::string_view path, const Bytes& body) {
    const auto answer = http::call_blocking({.method = "POST",
                                             .url = fmt::format("{}/{}", opa_url, path),
                                             .body = body,
                                             .answer_bytes_max = 4 << 20});
    REQUIRE_MESSAGE(answer, answer.error().message);
    return *answer;
  }
  void kill_opa() { opa->kill(); }
  bool wait_for(size_t decisions) {
    return wait_until([&] { return log.decisions().size() >= decisions; });
  }
  uint64_t missing() const {
    uint64_t all = 0;
    for (const record::Gap& gap : log.gaps()) all += gap.count;
    return all;
  }
  double metric(std::string_view name) const {
    prometheus::Registry registry;
    opa_log::OpaLogMetrics metrics(registry);
    metrics.update(intake->status());
    for (const auto& family : registry.Collect())
      if (family.name == name) return family.metric.at(0).counter.value;
    return -1;
  }
  std::string written_by_opa() const {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator(log_file().parent_path())) {
      const auto text = read_file(entry.path(), 64 << 20);
      REQUIRE(text);
      all += *text;
    }
    return all;
  }

  const pdp::OpaLogs logs_;
  const int opa_port = free_port();
  const std::string opa_url = fmt::format("http://127.0.0.1:{}", opa_port);
  TemporaryFolder folder;
  std::string config;
  pdp::ActiveSetPtr set;
  KeptLog log;
  decision::RecordedSets sets{"opa", {}};
  opa_log::Revisions revisions{sets};
  std::unique_ptr<opa_log::Intake> intake;
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::thread_pool pool{2};
  std::thread thread{[this] { context.run(); }};
  ReportQueue reports;
  std::unique_ptr<pdp::OpaPdp> pdp;
  std::unique_ptr<http::Server> server;
  std::unique_ptr<opa_log::FileFeed> feed;
  std::unique_ptr<opa_log::SourcePoll> poll;
  std::optional<Process> opa;
  std::atomic<int> lose_answers = 0, last_upload_status = 0;
  std::atomic<bool> refuse_uploads = false;
};

// What two runs of one decision have in common.
record::DecisionContent comparable(record::DecisionContent content) {
  CHECK_FALSE(content.decision_id.empty());
  CHECK(content.times.evaluation_us > 0);
  content.decision_id.clear();
  content.times = {};
  content.requested_by.clear();
  content.req_id = 0;
  if (content.error) content.error->errors.clear();
  // The clock and chance.
  content.eval_time_ns = content.eval_time_ns == 0 ? 0 : 1;
  for (Bytes* text : {&content.nd_builtin_cache, content.result ? &*content.result : nullptr})
    if (text != nullptr) *text = std::regex_replace(*text, std::regex("[0-9]{2,}"), "N");
  return content;
}

std::vector<record::DecisionContent> ask_all(pdp::OpaLogs logs) {
  Host host(logs);
  host.start_opa();
  host.follow();
  host.ask("v1/data/payments/allow", R"({"input":{"amount":7}})");
  host.ask("v1/data/payments/allow", R"({"input":{"amount":700}})");
  host.ask("v1/data/payments/told",
           R"({"input":{"amount":12345678901234567890123,"f":1.50,"s":"<a> & \u2028 ü"}})");
  host.ask("v1/data/payments/clash", R"({"input":{"a":1,"b":1}})");
  host.ask("v1/data/payments/drawn", "{}");
  host.ask("v1/data/payments/a%20b%2Fc", R"({"input":null})");
  host.ask("v0/data/payments/echo", R"({"x":[1, 2]})");
  host.ask("v0/data/payments/nothing", R"({"x":1})");
  host.ask("v1/data", R"({"input":{}})");
  host.ask("v1/query", R"({"query":"x = data.payments.limits.max"})");
  host.ask("v1/data/payments/allow", "{");  // no decision
  CHECK(host.wait_for(10));
  const auto entries = host.log.entries();
  REQUIRE(entries.size() == 10);
  std::set<std::string> ids;
  std::vector<record::DecisionContent> all;
  for (const spool::Entry& entry : entries) {
    REQUIRE(entry.active);
    CHECK(entry.active->revision == "100000000000/payments@1");
    all.push_back(std::get<record::DecisionContent>(entry.content));
    ids.insert(all.back().decision_id);
    all.back() = comparable(all.back());
  }
  CHECK(ids.size() == 10);
  return all;
}

std::string random_text(size_t bytes) {
  std::mt19937_64 random(1);
  std::string text;
  while (text.size() < bytes) {
    const uint64_t word = random();
    text += to_base64({reinterpret_cast<const char*>(&word), 6});
  }
  return text;
}

}  // namespace

TEST_CASE("both feeds make the same records") {
  const auto by_file = ask_all(pdp::OpaLogs::kFile), by_upload = ask_all(pdp::OpaLogs::kService);
  for (size_t i = 0; i < by_file.size(); ++i) {
    CAPTURE(i);
    CAPTURE(by_file[i].path);
    CHECK(by_file[i] == by_upload[i]);
  }
  CHECK(by_file[0].outcome == record::Outcome::kAllow);
  CHECK(by_file[0].ledger == "100000000000/payments");
  CHECK(by_file[1].outcome == record::Outcome::kUndefined);
  CHECK(by_file[2].input->contains("12345678901234567890123"));
  CHECK(by_file[2].input->contains("1.50"));
  CHECK(by_file[2].input->contains("<a> & \u2028 ü"));
  CHECK(by_file[2].eval_time_ns == 1);
  CHECK(by_file[3].outcome == record::Outcome::kError);
  CHECK(by_file[3].error->code == "eval_conflict_error");
  CHECK(by_file[4].nd_builtin_cache.contains("rand.intn"));
  CHECK(by_file[5].path == "payments/a b%2Fc");
  CHECK(by_file[6].result == R"({"x":[1,2]})");
  CHECK(by_file[7].error->code == "undefined_document");
  CHECK(by_file[8].path.empty());
  CHECK(by_file[9].query == "x = data.payments.limits.max");
  CHECK(by_file[9].ledger.empty());
}

TEST_CASE("what a manifest masks is neither in OPA's file nor in a record") {
  using enum model::MaskOp;
  Host host(pdp::OpaLogs::kFile, {{kRemove, "/input/e mail", {}},
                                  {kRemove, "/input/größe", {}},
                                  {kRemove, "/input/a;b", {}},
                                  {kRemove, "/input/people/*/a~1b", {}},
                                  {kRemove, "/input/list/0", {}},
                                  {kUpsert, "/input/card", R"("****")"},
                                  {kCommit, "/input/iban", {}},
                                  {kRemove, "/result/e mail", {}}});
  host.start_opa();
  host.follow();
  constexpr std::string_view kInput =
      R"({"e mail":"SECRET1","größe":"SECRET2","a;b":"SECRET3","people":[{"a/b":"SECRET4","n":1},{"n":2}],"list":["SECRET5","kept"],"card":"SECRET6","iban":"SECRET7","keep":1.50})";
  host.ask("v1/data/payments/allow", fmt::format(R"({{"input":{}}})", kInput));
  CHECK(host.ask("v1/data/payments/echo", R"({"input":{"e mail":"SECRET0","n":1}})")
            .body.contains("SECRET0"));
  // On a path that no ledger owns, and with an escape that means the same path.
  host.ask("v1/data/paymentz/echo", R"({"input":{"e mail":"SECRET8"}})");
  host.ask("v1/data/%70ayments/x", R"({"input":{"e mail":"SECRET9"}})");
  host.ask("v1/data/payments/allow", R"({"input":{"amount":1}})");
  REQUIRE(host.wait_for(5));
  CHECK_FALSE(host.written_by_opa().contains("SECRET"));
  const auto decisions = host.log.decisions();
  const record::DecisionContent& one = decisions[0];
  CHECK(one.input ==
        R"({"card":"****","iban":null,"keep":1.50,"list":["kept"],"people":[{"n":1},{"n":2}]})");
  const std::set<std::string> erased(one.erased.begin(), one.erased.end());
  CHECK(erased == std::set<std::string>{"/input/e mail", "/input/größe", "/input/a;b",
                                        "/input/people/0/a~1b", "/input/list/0"});
  CHECK(std::ranges::count(one.masked, "/input/card") == 1);
  REQUIRE(one.commitments.size() == 1);
  CHECK(one.commitments[0].pointer == "/input/iban");
  CHECK(one.nd_builtin_cache.empty());
  CHECK(decisions[1].result == R"({"n":1})");
  CHECK(decisions[1].outcome == record::Outcome::kOther);
  CHECK(decisions[2].input == "{}");
  CHECK(decisions[3].input == "{}");
  CHECK(decisions[4].erased.empty());
  CHECK(decisions[4].masked.empty());
  CHECK(host.sets.take_unmatched().empty());
}

TEST_CASE("the model's own rules about the log: applied, dropped, and invalid ones withhold") {
  Host host(pdp::OpaLogs::kFile, {{model::MaskOp::kRemove, "/input/user/pin", {}}});
  REQUIRE(write_file(host.folder.path() / "log.rego",
                     "package system.log\n\n"
                     "mask contains \"/input/pw\"\n\n"
                     "mask contains {\"op\": \"upsert\", \"path\": \"/input/user\", "
                     "\"value\": input.input.user}\n\n"
                     "mask contains {\"op\": \"what\", \"path\": \"/input/x\"} if "
                     "input.path == \"payments/bad\"\n\n"
                     "drop if input.path == \"payments/drawn\"\n"));
  host.start_opa({(host.folder.path() / "log.rego").string()});
  host.follow();
  host.ask("v1/data/payments/allow",
           R"({"input":{"amount":1,"pw":"SECRET1","user":{"pin":"SECRET2","name":"ann"}}})");
  host.ask("v1/data/payments/bad", R"({"input":{"x":"SECRET3"}})");
  host.ask("v1/data/payments/drawn", R"({"input":{"x":"SECRET4"}})");
  host.ask("v1/data/payments/allow", R"({"input":{"amount":2}})");
  REQUIRE(host.wait_for(3));
  CHECK_FALSE(host.written_by_opa().contains("SECRET"));
  const auto decisions = host.log.decisions();
  REQUIRE(decisions.size() == 3);
  CHECK(decisions[0].input == R"({"amount":1,"user":{"name":"ann"}})");
  CHECK(decisions[0].outcome == record::Outcome::kAllow);
  REQUIRE(decisions[1].withheld);
  CHECK(decisions[1].withheld->reason == record::WithheldReason::kMaskFailed);
  CHECK(decisions[1].withheld->message.contains("data.system.log.mask"));
  CHECK(decisions[1].outcome == record::Outcome::kUndefined);
  const std::map<KeptLog::Drop, int> drops = {
      {{"payments/drawn", record::Outcome::kOther, "data.system.log.drop"}, 1}};
  CHECK(host.log.drops() == drops);
}

TEST_CASE("rotation of OPA's file loses and repeats nothing") {
  constexpr int kDecisions = 400;
  Host host(pdp::OpaLogs::kFile);
  const size_t at = host.config.find("max_size_mb: 16");
  REQUIRE(at != std::string::npos);
  host.config.replace(at, 15, "max_size_mb: 1");
  host.start_opa();
  host.follow();
  const std::string padding = random_text(16'000);
  for (int i = 0; i < kDecisions; ++i) {
    host.ask("v1/data/payments/allow",
             fmt::format(R"({{"input":{{"amount":{},"x":"{}"}}}})", i, padding));
    // The agent is replaced in between.
    if (i % 150 == 149) {
      host.poll.reset();
      host.feed.reset();
      host.intake.reset();
      host.open_intake();
      host.follow();
    }
  }
  CHECK(host.wait_for(kDecisions));
  std::set<std::string> ids;
  for (const auto& content : host.log.decisions()) ids.insert(content.decision_id);
  CHECK(ids.size() == kDecisions);
  CHECK(host.log.decisions().size() == kDecisions);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(host.log_file().parent_path()))
    files += entry.is_regular_file() ? 1 : 0;
  CHECK(files > 3);
}

TEST_CASE("an OPA that is killed has logged all that it answered into its file") {
  constexpr int kRounds = 3, kDecisions = 40;
  Host host(pdp::OpaLogs::kFile);
  for (int round = 0; round < kRounds; ++round) {
    host.start_opa();
    if (round == 0) host.follow();
    for (int i = 0; i < kDecisions; ++i)
      host.ask("v1/data/payments/allow", R"({"input":{"amount":1}})");
    host.kill_opa();
  }
  CHECK(host.wait_for(kRounds * kDecisions));
  CHECK(host.log.decisions().size() == kRounds * kDecisions);
  CHECK(host.log.gaps().empty());
  CHECK(host.intake->status().damaged == 0);
}

TEST_CASE("uploads whose answers are lost are recorded once") {
  constexpr int kDecisions = 60;
  Host host(pdp::OpaLogs::kService);
  host.lose_answers = 3;
  host.start_opa();
  host.follow();
  for (int i = 0; i < kDecisions; ++i)
    host.ask("v1/data/payments/allow", fmt::format(R"({{"input":{{"amount":{}}}}})", i));
  CHECK(host.wait_for(kDecisions));
  CHECK(wait_until([&] { return host.lose_answers < 0; }));
  CHECK(wait_until([&] { return host.intake->status().duplicates > 0; }));
  CHECK(host.last_upload_status == 204);
  std::set<std::string> ids;
  for (const auto& content : host.log.decisions()) ids.insert(content.decision_id);
  CHECK(ids.size() == kDecisions);
  CHECK(host.log.decisions().size() == kDecisions);
  CHECK(host.metric("notp_agent_opa_events_recorded_total") == kDecisions);
  CHECK(host.metric("notp_agent_opa_events_duplicates_total") > 0);
  CHECK(host.metric("notp_agent_source_missing_total") == 0);
  CHECK(host.log.gaps().empty());
}

TEST_CASE("an upload is acknowledged when it is durable, and refused when it cannot be") {
  Host host(pdp::OpaLogs::kService);
  host.start_opa();
  host.follow();
  host.log.hold();
  host.ask("v1/data/payments/allow", R"({"input":{"amount":1}})");
  CHECK(host.wait_for(1));
  CHECK(host.last_upload_status == 0);
  host.log.release();
  CHECK(wait_until([&] { return host.last_upload_status == 204; }));
  host.log.refuse_after(0);
  host.ask("v1/data/payments/allow", R"({"input":{"amount":2}})");
  CHECK(wait_until([&] { return host.last_upload_status == 503; }));
  host.log.refuse_after(-1);
  CHECK(host.wait_for(2));
  const auto malformed =
      http::call_blocking({.method = "POST",
                           .url = fmt::format("http://127.0.0.1:{}/logs", host.server->port()),
                           .body = "{}"});
  REQUIRE(malformed);
  CHECK(malformed->status == 400);
}

TEST_CASE("what an OPA had not sent when it was killed is a gap, to the last poll") {
  Host host(pdp::OpaLogs::kService);
  host.start_opa();
  host.follow();
  host.ask("v1/data/payments/allow", R"({"input":{"amount":1}})");
  CHECK(host.wait_for(1));
  host.refuse_uploads = true;
  for (int i = 0; i < 7; ++i) host.ask("v1/data/payments/allow", R"({"input":{"amount":1}})");
  const auto id = [&] {
    const auto status = http::call_blocking({.url = host.opa_url + "/v1/status"});
    return status ? status->body : Bytes();
  }();
  CHECK(wait_until([&] {
    for (const auto& [name, source] : host.intake->sources())
      if (id.contains(name) && source.answered == 8) return true;
    return false;
  }));
  host.kill_opa();
  host.refuse_uploads = false;
  host.start_opa();
  CHECK(wait_until([&] { return !host.log.gaps().empty(); }));
  const auto gaps = host.log.gaps();
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].reason == record::GapReason::kSource);
  CHECK(gaps[0].count == 7);
  CHECK(id.contains(gaps[0].source));
  CHECK(gaps[0].message.contains("ended"));
}

TEST_CASE("a full disk under OPA's file: the answers are counted") {
  Host host(pdp::OpaLogs::kFile);
  std::filesystem::create_directory(host.log_file().parent_path());
  std::filesystem::create_symlink("/dev/full", host.log_file());
  host.start_opa();
  host.follow();
  for (int i = 0; i < 3; ++i)
    CHECK(host.ask("v1/data/payments/allow", R"({"input":{"amount":1}})").status == 200);
  CHECK(wait_until([&] { return host.missing() == 3; }));
  CHECK(host.log.decisions().empty());
  CHECK(host.metric("notp_agent_source_missing_total") == 3);
  CHECK(host.metric("notp_agent_opa_events_recorded_total") == 0);
}

// OPA as it is, without the agent's masks: how it behaves is why they are there.
TEST_CASE("stock OPA: invalid masks and large events lose events, escaped names are not masked") {
  Host host(pdp::OpaLogs::kService);
  host.config = fmt::format(
      "services: {{notp: {{url: \"http://127.0.0.1:{}\"}}}}\n"
      "status: {{service: notp}}\n"
      "decision_logs:\n  service: notp\n"
      "  reporting: {{min_delay_seconds: 1, max_delay_seconds: 1}}\n",
      host.server->port());
  REQUIRE(write_file(host.folder.path() / "stock.rego",
                     "package system.log\n\n"
                     "mask contains {\"op\": \"what\", \"path\": \"/input/x\"} if "
                     "input.path == \"app/bad\"\n\n"
                     "mask contains \"/input/e mail\"\n\n"
                     "mask contains \"/input/plain\"\n"));
  host.start_opa({(host.folder.path() / "stock.rego").string()});
  host.follow();
  for (int i = 0; i < 2; ++i)
    CHECK(host.ask("v1/data/app/bad", R"({"input":{"x":1}})").status == 200);
  CHECK(host.ask("v1/data/app/good", R"({"input":{"e mail":"SECRET","plain":"GONE"}})").status ==
        200);
  CHECK(host.ask("v1/data/app/large",
                 fmt::format(R"({{"input":{{"x":"{}"}}}})", random_text(64 << 10)))
            .status == 200);
  CHECK(wait_until([&] { return host.missing() == 3; }));
  const auto decisions = host.log.decisions();
  REQUIRE(decisions.size() == 1);
  CHECK(decisions[0].input == R"({"e mail":"SECRET"})");
  CHECK(decisions[0].erased == std::vector<std::string>{"/input/plain"});
}

}  // namespace notp
