// Questions in every form and with every flag: the embedded engine, and an OPA queried on the
// caller's behalf, answer like the stock program.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <cstdlib>

#include "common/http/client.hpp"
#include "common/json/json_members.hpp"
#include "common/storage/files.hpp"
#include "notp-client/pdp/opa_pdp.hpp"
#include "notp-client/pdp/opa_question.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/rego_engine.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

constexpr std::string_view kPolicy = R"(package app

# METADATA
# labels:
#   team: red
allow if input.user == "alice"

echo := input

absent if not input

first_metrics := input

conflict := input.a

conflict := 2 if input.two

divided := 1 / input.v

note if {
  trace("seen")
  some n in [1, 2, 3]
  n == input.n
}

f(_) := 1
)";

std::string opa_binary() {
  const char* path = std::getenv("NOTP_OPA");
  if (path == nullptr)
    FAIL("NOTP_OPA is not set: export NOTP_OPA=$(tools/build-opa), or run tools/test");
  return path;
}

// Removes space between tokens.
std::string compact(ByteView json) {
  std::string out;
  bool in_text = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text && c == '\\') {
      out += json.substr(i++, 2);
      continue;
    }
    if (c == '"') in_text = !in_text;
    if (in_text || !ByteView(" \r\n\t").contains(c)) out.push_back(c);
  }
  return out;
}

std::string metric_names(ByteView metrics) {
  std::vector<std::string> names;
  const auto members = json_members(metrics);
  REQUIRE(members);
  for (const auto& member : *members) names.emplace_back(member.name);
  std::ranges::sort(names);
  return fmt::format("{}", fmt::join(names, " "));
}

// OPA lists the bindings of an event in random order.
std::string explanation_of(ByteView explanation) {
  if (explanation.empty()) return {};
  auto parsed = parse_json(explanation);
  REQUIRE_MESSAGE(parsed, parsed.error().message);
  for (json::value& event : parsed->as_array()) {
    json::object* const members = event.if_object();
    if (members == nullptr) continue;  // a human-readable line
    json::array& locals = members->at("locals").as_array();
    std::vector<std::string> texts;
    for (const auto& local : locals) texts.push_back(json::serialize(local));
    std::ranges::sort(texts);
    locals = json::array(texts.begin(), texts.end());
  }
  return json::serialize(*parsed);
}

// One line for each part visible to a caller.
struct Seen {
  unsigned status = 0;
  std::string error, errors;         // message, JSON
  std::string result = "undefined";  // JSON
  std::string metrics, explanation, labels;
  bool warning = false;

  std::string text() const {
    return fmt::format("{} {} {}\nresult {}\nmetrics {}\nexplanation {}\nlabels {}\nwarning {}",
                       status, error, errors, result, metrics, explanation, labels, warning);
  }
};

void add_members(Seen& seen, std::span<const JsonMember> members) {
  if (const auto metrics = json_member(members, "metrics")) seen.metrics = metric_names(*metrics);
  seen.explanation = explanation_of(json_member(members, "explanation").value_or(ByteView()));
  seen.labels = compact(json_member(members, "rule_labels").value_or(ByteView()));
}

void add_refusal(Seen& seen, const http::Response& answer) {
  const auto body = parse_json(answer.body);
  REQUIRE_MESSAGE(body, answer.body);
  seen.error = body->at("message").as_string();
  const auto members = json_members(answer.body);
  REQUIRE(members);
  seen.errors = compact(json_member(*members, "errors").value_or(ByteView()));
  // An invalid path is the caller's mistake; OPA reports it as its own.
  constexpr std::string_view kPath = "invalid_parameter: ";
  if (seen.error.starts_with(kPath)) {
    seen.error.erase(0, kPath.size());
    seen.status = 400;
  }
}

Seen stock(const http::Call& call, bool plain) {
  http::Call copy = call;
  copy.answer_bytes_max = 32 << 20;
  const auto answer = http::call_blocking(std::move(copy));
  REQUIRE_MESSAGE(answer, answer.error().message);
  Seen seen{.status = answer->status};
  if (answer->status != 200) {
    add_refusal(seen, *answer);
  } else if (plain) {
    seen.result = compact(answer->body);
  } else {
    const auto members = json_members(answer->body);
    REQUIRE_MESSAGE(members, answer->body);
    if (const auto result = json_member(*members, "result")) seen.result = compact(*result);
    add_members(seen, *members);
    seen.warning = json_member(*members, "warning").has_value();
  }
  return seen;
}

// The agent's API answer for a decision.
template <typename Answered>
Seen shown(const Result<Answered>& one, const pdp::Question& question) {
  const bool plain = question.form == pdp::InputForm::kPlainBody ||
                     question.form == pdp::InputForm::kPlainBodyYaml;
  Seen seen{.status = 200};
  if (!one) {
    const Error& error = one.error();
    seen.status = error.code == ErrorCode::kMessage ? 400 : 500;
    CHECK((error.code == ErrorCode::kMessage || error.code == ErrorCode::kInvalidModel));
    seen.errors = compact(rego::evaluation_errors(error));
    seen.error = seen.errors.empty() ? error.message : "error(s) occurred while evaluating query";
    return seen;
  }
  if (one->value) seen.result = compact(*one->value);
  if (plain && !one->value) {
    std::string reference = "data";
    for (const auto& segment : question.path) reference += "." + segment;
    seen.status = 404;
    seen.error =
        fmt::format("document {}: {}", one->rule_exists ? "undefined" : "missing", reference);
    return seen;
  }
  if (!one->extras.empty()) add_members(seen, json_members(one->extras).value());
  seen.warning = !plain && !one->has_input;
  return seen;
}

// The stock program and both ways of the agent, with one policy.
class Sides {
 public:
  Sides() {
    REQUIRE(write_file(folder_.path() / "app.rego", kPolicy));
    opa_.emplace(ProcessOptions{
        .command = {opa_binary(), "run", "--server", "--addr", fmt::format("127.0.0.1:{}", port_),
                    "--log-level", "error", "app.rego"},
        .folder = folder_.path(),
        .environment = {},
        .output_file = folder_.path() / "opa.out",
        .error_file = folder_.path() / "opa.err"});
    REQUIRE(wait_until([&] {
      const auto health = http::call_blocking({.url = url_ + "/health"});
      return health && health->status == 200;
    }));
    auto snapshot = std::make_shared<rego::Snapshot>();
    snapshot->ledgers.push_back({"100000000001/app", {"app"}, {}});
    snapshot->modules["app.rego"] = {contents_.put(Bytes(kPolicy)), 1, false, 0};
    snapshot->load = contents_.loader();
    const auto activated = host_.activate(std::move(snapshot));
    REQUIRE_MESSAGE(activated, activated.error().message);
  }

  void compare(const pdp::Question& question, ByteView what, bool is_first = false) {
    REQUIRE(question.inputs.size() == 1);
    const auto call = pdp::opa_call(url_, question, question.inputs[0]);
    REQUIRE(call);
    const bool plain = call->url.contains("/v0/");
    const std::string want = stock(*call, plain).text();
    const auto decision = host_.begin(engine_question(question)).get();
    const std::string embedded =
        (decision ? shown(decision->evaluations[0], question)
                  : shown(Result<rego::Evaluation>(std::unexpected(decision.error())), question))
            .text();
    INFO(what);
    INFO("data.", fmt::format("{}", fmt::join(question.path, "/")), " form ",
         static_cast<int>(question.form), " flags ", question.flags, " explain ",
         static_cast<int>(question.explain));
    CHECK(embedded == want);
    ++compared;
    // OPA knows the path by now.
    if (is_first) return;
    auto answers =
        boost::asio::co_spawn(callers_, forward_.evaluate(question), boost::asio::use_future).get();
    REQUIRE_MESSAGE(answers, answers.error().message);
    const std::string forwarded = shown(answers->at(0), question).text();
    CHECK(forwarded == want);
  }

  size_t compared = 0;

 private:
  static rego::Question engine_question(const pdp::Question& question) {
    return {.path = question.path,
            .inputs = question.inputs,
            .caller = {},
            .deadline_ms = 20'000,
            .flags = question.flags,
            .form = question.form,
            .explain = question.explain};
  }

  const int port_ = free_port();
  const std::string url_ = fmt::format("http://127.0.0.1:{}", port_);
  TemporaryFolder folder_;
  std::optional<Process> opa_;
  rego::ContentShelf contents_;
  rego::EngineHost host_;
  boost::asio::thread_pool pool_{1}, callers_{1};
  pdp::OpaPdp forward_{callers_.get_executor(), pool_, test_checker(),
                       pdp::OpaOptions{.url = url_, .evaluation_ms = 20'000}};
};

pdp::Question asked(std::string_view path, pdp::InputForm form, Bytes body) {
  pdp::Question question{.path = pdp::path_segments(path)};
  question.inputs.emplace_back(std::move(body));
  question.form = form;
  return question;
}

std::vector<Bytes> bodies() {
  std::vector<Bytes> all = {
      "",
      " \n",
      "{}",
      "[]",
      "null",
      "nul",
      "\"text\"",
      "1",
      "1 2",
      "NaN",
      "Infinity",
      "-0",
      "07",
      R"({"input": {"user": "alice"}})",
      R"({"input": {"user": "alice"}} trailing)",
      R"({"input": {"user": "alice"}}{"input": 1})",
      R"({"input": null})",
      R"({"input": null, "input": 1})",
      R"({"input": 1, "input": null})",
      R"({"input": {"a": 1}, "input": {"b": 2}})",
      R"({"INPUT": 1, "other": [1, {"input": 2}]})",
      R"({"in\u0070ut": 7})",
      R"({"input": {"a": 1, "a": 2}})",
      R"({"input": 1208925819614629174706176})",
      R"({"input": -1208925819614629174706176.5e-3})",
      R"({"input": 1e400})",
      R"({"input": NaN})",
      R"({"input": "\ud800"})",
      R"({"input": "<&>\u2028"})",
      R"({"input":)",
      R"({"input": tru})",
      R"({"input": 1,})",
      R"({"input" 1})",
      R"({'input': 1})",
      R"({input: 1})",
      "\xEF\xBB\xBF{\"input\": 1}",
      "{\"input\": \"\xff\xfe\"}",
      Bytes("{\"input\": \"\0\"}", 14),
      "\xff",
      "input: 5\n",
      "input:\n  user: alice\n  n: 0x1F\n  yes: no\n",
      "a: &x [1]\nb: *x\n",
      "a: *x\n",
      "- 1\n- two\n",
      "---\ninput: 1\n---\ninput: 2\n",
      "input: 2001-01-01\n",
      "\t\n",
      "? [a]\n: 1\n",
      "1: one\n",
      "input: !!binary aGk=\n",
      "input: .nan\n",
      "input: 1e400\n",
      "input: 1208925819614629174706176\n",
  };
  constexpr size_t kDeep = 100'000, kAllowed = 9'000;
  for (const size_t depth : {kAllowed, kDeep}) {
    const Bytes value = Bytes(depth, '[') + Bytes(depth, ']');
    all.push_back(value);
    all.push_back(R"({"input": )" + value + "}");
    all.push_back(R"({"other": )" + value + R"(, "input": 1})");
    all.push_back(Bytes(depth, '['));
  }
  Bytes deep_object;
  for (size_t i = 0; i < kDeep; ++i) deep_object += "{\"a\":";
  all.push_back(deep_object);
  return all;
}

}  // namespace

TEST_CASE("every form of an input is read as the stock program reads it") {
  Sides sides;
  for (const auto form : {pdp::InputForm::kBody, pdp::InputForm::kBodyYaml,
                          pdp::InputForm::kPlainBody, pdp::InputForm::kPlainBodyYaml})
    for (const Bytes& body : bodies())
      sides.compare(asked("app/echo", form, body), printable(body, 80));
  CHECK(sides.compared > 200);
}

TEST_CASE("what is asked beside the value is rendered as the stock program renders it") {
  Sides sides;
  constexpr uint32_t kFlags = rego::kStrictBuiltinErrors | rego::kMetrics |
                              rego::kPrettyExplanation | rego::kInstrument | rego::kRuleLabels;
  const std::vector<std::pair<std::string, Bytes>> questions = {
      {"app/allow", R"({"input": {"user": "alice"}})"},
      {"app/allow", R"({"input": {"user": "bob"}})"},
      {"app/note", R"({"input": {"n": 2}})"},
      {"app/note", R"({"input": {"n": 4}})"},
      {"app/divided", R"({"input": {"v": 0}})"},
      {"app/conflict", R"({"input": {"a": 1, "two": true}})"},
      {"app/absent", "{}"},
      {"app/none", "{}"},
      {"app/f", "{}"},
      {"app/allow/deeper", "{}"},
      {"app/a\"b", "{}"},
      {"app/conflict", R"({"input": [)"},
  };
  sides.compare(
      [] {
        auto first = asked("app/first_metrics", pdp::InputForm::kBody, "{}");
        first.flags = rego::kMetrics;
        return first;
      }(),
      "the first question of a path", true);
  for (const auto& [path, body] : questions) {
    sides.compare(asked(path, pdp::InputForm::kPlainBody, body), body);
    sides.compare(asked(path, pdp::InputForm::kBody, body), body);
    for (uint32_t flags = 0; flags < 2 * rego::kRuleLabels; ++flags) {
      if ((flags & ~kFlags) != 0) continue;
      for (const auto explain :
           {pdp::ExplainMode::kOff, pdp::ExplainMode::kNotes, pdp::ExplainMode::kFails,
            pdp::ExplainMode::kFull, pdp::ExplainMode::kDebug}) {
        auto question = asked(path, pdp::InputForm::kBody, body);
        question.flags = flags;
        question.explain = explain;
        sides.compare(question, body);
      }
    }
  }
  CHECK(sides.compared > 1'500);
}

TEST_CASE("numbers and doubled names reach OPA and come back as they were written") {
  const Bytes input = R"({"a":123456789012345678901234567890,"a":1e400})";
  pdp::Question question{.path = {"a b", "c/d", "é"}};
  question.flags = rego::kMetrics | rego::kRuleLabels;
  question.explain = pdp::ExplainMode::kFails;
  const auto call = pdp::opa_call("http://127.0.0.1:1", question, input);
  REQUIRE(call);
  CHECK(
      call->url ==
      "http://127.0.0.1:1/v1/data/a%20b/c%2Fd/%C3%A9?metrics=true&rule_labels=true&explain=fails");
  CHECK(call->body == "{\"input\":" + input + "}");
  CHECK(pdp::opa_call("", question, Bytes("1} 2")).error().code == ErrorCode::kMessage);
  question = {.path = {"..", "a..", ".", "b/"}};
  CHECK(pdp::opa_call("", question, input).error().code == ErrorCode::kMessage);
  question.path.back() = "c";
  const auto steps = pdp::opa_call("", question, input);
  REQUIRE(steps);
  CHECK(steps->url == "/v1/data/%2E%2E/a../%2E/c");

  const http::Response answer{.status = 200,
                              .body = R"({"decision_id":"x","metrics":{"a":1},"result":)" + input +
                                      R"(,"warning":{"code":"api_usage_warning"}})"};
  const auto decision = pdp::opa_decision(pdp::InputForm::kBody, answer, nullptr);
  REQUIRE(decision);
  CHECK(decision->value == input);
  CHECK(decision->extras == R"({"metrics":{"a":1}})");
  CHECK_FALSE(decision->has_input);
  for (const auto& [status, code] :
       {std::pair(400U, ErrorCode::kMessage), std::pair(500U, ErrorCode::kInvalidModel),
        std::pair(503U, ErrorCode::kUnavailable)}) {
    const http::Response refused{.status = status,
                                 .body = R"({"code":"c","message":"m","errors":[1e400]})"};
    const auto error = pdp::opa_decision(pdp::InputForm::kBody, refused, nullptr).error();
    CHECK(error.code == code);
    CHECK(error.message.ends_with("m"));
    if (status != 503) CHECK(rego::evaluation_errors(error) == "[1e400]");
  }
  CHECK(pdp::opa_decision(pdp::InputForm::kBody, {.status = 200, .body = "<html>"}, nullptr)
            .error()
            .code == ErrorCode::kUnavailable);
}

TEST_CASE("a question to an OPA that does not answer ends when its caller gives it up") {
  namespace asio = boost::asio;
  asio::io_context context(1);
  asio::ip::tcp::acceptor acceptor(context, {asio::ip::make_address("127.0.0.1"), 0});
  asio::thread_pool pool(1);
  pdp::OpaPdp pdp(
      context.get_executor(), pool, test_checker(),
      pdp::OpaOptions{.url = fmt::format("http://127.0.0.1:{}", acceptor.local_endpoint().port()),
                      .evaluation_ms = 600'000});
  asio::cancellation_signal gone;
  std::optional<ErrorCode> ended;
  asio::co_spawn(
      context, pdp.evaluate(asked("app/echo", pdp::InputForm::kBody, "{}")),
      asio::bind_cancellation_slot(gone.slot(), [&](std::exception_ptr exception, auto decisions) {
        CHECK(exception == nullptr);
        if (!decisions) ended = decisions.error().code;
      }));
  asio::ip::tcp::socket silent(context);
  acceptor.async_accept(silent, [&](auto) { gone.emit(asio::cancellation_type::terminal); });
  context.run();
  CHECK(ended == ErrorCode::kCancelled);
  pool.join();
}

}  // namespace notp
