// Spans, what is sent of them, and the variables that say where to.
#include <doctest/doctest.h>

#include "common/telemetry/export_answer.hpp"
#include "common/telemetry/otlp_json.hpp"
#include "common/telemetry/span.hpp"
#include "common/telemetry/trace_config.hpp"

namespace notp {
namespace {

struct Kept : SpanSink {
  void add(SpanRecord span) override { spans.push_back(std::move(span)); }
  std::vector<SpanRecord> spans;
};

// A clock that goes on by one second of wall time and one millisecond of steady time at each look.
struct Clocks {
  SpanTime next() {
    ++looks;
    return {.wall_ns = looks * 1'000'000'000, .steady_ns = looks * 1'000'000};
  }
  int64_t looks = 0;
};

struct Traced {
  explicit Traced(Sampler sampler = {})
      : tracer(kept, sampler, random, [this] { return clocks.next(); }) {}
  Kept kept;
  SeededRandom random{7};
  Clocks clocks;
  Tracer tracer;
};

TraceContext context(bool is_sampled) {
  TraceContext out;
  out.trace.fill(0x11);
  out.span.fill(0x22);
  out.is_sampled = is_sampled;
  return out;
}

// --- spans

TEST_CASE("a span is below its parent, and ends when it is let go") {
  Traced traced;
  {
    const Span root = traced.tracer.begin("notp publish");
    Span send = root.child("send", SpanKind::kClient);
    send.set("notp.bytes", uint64_t{1} << 40);
    const Span far = traced.tracer.begin("publish", SpanKind::kServer, *send.context());
  }
  REQUIRE(traced.kept.spans.size() == 3);
  const SpanRecord &publish = traced.kept.spans[0], &send = traced.kept.spans[1],
                   &root = traced.kept.spans[2];
  CHECK(root.name == "notp publish");
  CHECK(root.parent == SpanId{});
  CHECK(send.parent == root.span);
  CHECK(publish.parent == send.span);
  CHECK(publish.trace == root.trace);
  CHECK(send.trace == root.trace);
  CHECK(root.span != send.span);
  CHECK(send.kind == SpanKind::kClient);
  REQUIRE(send.attributes.size() == 1);
  CHECK(send.attributes[0] == SpanAttribute{"notp.bytes", int64_t{1} << 40});
}

TEST_CASE("a span lasts by the steady clock, whatever the wall clock is set to") {
  Traced traced;
  traced.tracer.begin("one").end();
  REQUIRE(traced.kept.spans.size() == 1);
  CHECK(traced.kept.spans[0].start_ns == 1'000'000'000);
  CHECK(traced.kept.spans[0].end_ns == 1'001'000'000);
}

TEST_CASE("a failure has the name of its code, and the first one is kept as attribute") {
  Traced traced;
  Span span = traced.tracer.begin("validate");
  span.end_with(Result<int>(fail(ErrorCode::kInvalidModel, "a secret in a message")));
  REQUIRE(traced.kept.spans.size() == 1);
  CHECK(traced.kept.spans[0].error == "invalid_model");
  REQUIRE(traced.kept.spans[0].attributes.size() == 1);
  CHECK(traced.kept.spans[0].attributes[0] ==
        SpanAttribute{"notp.code", std::string("invalid_model")});

  Span good = traced.tracer.begin("store");
  good.set_code(0);
  good.end_with(Result<int>(1));
  CHECK(traced.kept.spans[1].error.empty());
}

TEST_CASE("nothing is recorded without a tracer, after a drop, and of what is not sampled") {
  const Tracer off;
  Span none = off.begin("publish");
  none.set("notp.ledger", "x");
  none.fail(ErrorCode::kIo);
  CHECK_FALSE(none.context());
  CHECK_FALSE(none.child("store").is_open());
  CHECK_FALSE(off.begin("publish", SpanKind::kServer, context(true)).is_open());
  CHECK_FALSE(child_of(nullptr, "store").is_open());

  Traced traced({.kind = Sampler::Kind::kAlwaysOff});
  {
    const Span span = traced.tracer.begin("publish");
    // Who goes on with it learns the decision.
    REQUIRE(span.context());
    CHECK_FALSE(span.context()->is_sampled);
    const Span child = span.child("store");
    CHECK_FALSE(child.is_sampled());
    Span other = traced.tracer.begin("push", SpanKind::kProducer, context(true));
    CHECK(other.is_sampled());
    other.drop();
  }
  CHECK(traced.kept.spans.empty());
}

TEST_CASE("a span that takes the place of another one ends it") {
  Traced traced;
  Span span = traced.tracer.begin("one");
  span = traced.tracer.begin("two");
  REQUIRE(traced.kept.spans.size() == 1);
  CHECK(traced.kept.spans[0].name == "one");
  Span moved = std::move(span);
  span.end();
  CHECK(traced.kept.spans.size() == 1);
  moved.end();
  CHECK(traced.kept.spans.size() == 2);
}

// --- the sampler

TEST_CASE("samplers decide as OpenTelemetry's do") {
  using Kind = Sampler::Kind;
  const TraceId trace = context(true).trace;
  struct Row {
    Sampler sampler;
    bool root, below_sampled, below_unsampled;
  };
  for (const Row& row : {Row{{Kind::kAlwaysOn, 1, true}, true, true, false},
                         {{Kind::kAlwaysOn, 1, false}, true, true, true},
                         {{Kind::kAlwaysOff, 1, true}, false, true, false},
                         {{Kind::kAlwaysOff, 1, false}, false, false, false},
                         {{Kind::kRatio, 1, true}, true, true, false},
                         {{Kind::kRatio, 0, true}, false, true, false},
                         {{Kind::kRatio, 0, false}, false, false, false},
                         {{Kind::kRatio, 1, false}, true, true, true}}) {
    CHECK(row.sampler.samples(trace) == row.root);
    CHECK(row.sampler.samples(trace, true) == row.below_sampled);
    CHECK(row.sampler.samples(trace, false) == row.below_unsampled);
  }
}

TEST_CASE("a ratio is that of the traces") {
  Traced traced({.kind = Sampler::Kind::kRatio, .ratio = 0.25});
  for (int i = 0; i < 10'000; ++i) traced.tracer.begin("publish").end();
  CHECK(traced.kept.spans.size() > 2'350);
  CHECK(traced.kept.spans.size() < 2'650);
}

// --- OTLP

// examples/trace.json of open-telemetry/opentelemetry-proto, but for the attribute of the scope,
// which these programs have none of.
constexpr std::string_view kSpecificationExample = R"({"resourceSpans": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]},
  "scopeSpans": [{
    "scope": {"name": "my.library", "version": "1.0.0"},
    "spans": [{
      "traceId": "5B8EFFF798038103D269B633813FC60C",
      "spanId": "EEE19B7EC3C1B174",
      "parentSpanId": "EEE19B7EC3C1B173",
      "name": "I'm a server span",
      "startTimeUnixNano": 1544712660000000000,
      "endTimeUnixNano": 1544712661000000000,
      "kind": 2,
      "attributes": [{"key": "my.span.attr", "value": {"stringValue": "some value"}}]}]}]}]})";

// The specification lets readers accept ids of either case, and 64-bit numbers as numbers or text;
// what is sent has one form.
json::value one_form(const json::value& value, std::string_view name = {}) {
  if (value.is_object()) {
    json::object out;
    for (const auto& [key, member] : value.get_object()) out[key] = one_form(member, key);
    return out;
  }
  if (value.is_array()) {
    json::array out;
    for (const json::value& member : value.get_array()) out.push_back(one_form(member));
    return out;
  }
  if (name.ends_with("UnixNano") && !value.is_string()) return json::string(json::serialize(value));
  if (!name.ends_with("Id") || !value.is_string()) return value;
  std::string text(value.get_string());
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return json::string(text);
}

template <size_t kBytes>
std::array<uint8_t, kBytes> id(std::string_view hex) {
  const auto bytes = from_hex(hex);
  REQUIRE(bytes);
  std::array<uint8_t, kBytes> out{};
  std::ranges::copy(*bytes, out.begin());
  return out;
}

SpanRecord example_span() {
  return {.trace = id<16>("5b8efff798038103d269b633813fc60c"),
          .span = id<8>("eee19b7ec3c1b174"),
          .parent = id<8>("eee19b7ec3c1b173"),
          .name = "I'm a server span",
          .kind = SpanKind::kServer,
          .start_ns = 1544712660000000000,
          .end_ns = 1544712661000000000,
          .attributes = {{"my.span.attr", std::string("some value")}},
          .error = {}};
}

const SpanSource kSource{{{"service.name", std::string("my.service")}}, "my.library", "1.0.0"};

TEST_CASE("a request is the specification's example") {
  const std::vector<SpanRecord> spans = {example_span()};
  const auto made = parse_json(otlp_request(kSource, spans));
  REQUIRE(made);
  const auto example = parse_json(kSpecificationExample);
  REQUIRE(example);
  CHECK(*made == one_form(*example));
  CHECK(*made == one_form(*made));  // lower-case ids, numbers of 64 bits as text
}

TEST_CASE("attributes have their types, errors a status, and a root has no parent") {
  SpanRecord span = example_span();
  span.parent = {};
  span.error = "conflict";
  span.attributes = {
      {"n", int64_t{9'007'199'254'740'993}}, {"d", 0.5}, {"b", true}, {"t", std::string("\"\n")}};
  const auto made = parse_json(otlp_request(kSource, std::vector<SpanRecord>{span}));
  REQUIRE(made);
  const json::value& sent =
      made->at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans").at(0);
  CHECK_FALSE(sent.as_object().contains("parentSpanId"));
  CHECK(sent.at("status") == json::value{{"code", 2}, {"message", "conflict"}});
  CHECK(json::serialize(sent.at("attributes")) ==
        R"([{"key":"n","value":{"intValue":"9007199254740993"}},)"
        R"({"key":"d","value":{"doubleValue":5E-1}},)"
        R"({"key":"b","value":{"boolValue":true}},)"
        R"({"key":"t","value":{"stringValue":"\"\n"}}])");
}

TEST_CASE("what a collector refuses is counted, and nonsense is not") {
  CHECK(otlp_rejected("{}") == 0);
  CHECK(otlp_rejected("") == 0);
  CHECK(otlp_rejected("<html>") == 0);
  CHECK(otlp_rejected(R"({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "x"}})") == 3);
  CHECK(otlp_rejected(R"({"partialSuccess": {"rejectedSpans": 4}})") == 4);
  CHECK(otlp_rejected(R"({"partialSuccess": {"rejectedSpans": -4}})") == 0);
  CHECK(otlp_rejected(R"({"partialSuccess": {"rejectedSpans": {}}})") == 0);
  CHECK(otlp_rejected(R"({"partialSuccess": 7})") == 0);
}

TEST_CASE("answers of a collector") {
  using Kind = ExportVerdict::Kind;
  const auto answer = [](unsigned status, std::string retry_after = {}) -> Result<http::Response> {
    http::Response response;
    response.status = status;
    if (!retry_after.empty()) response.headers.emplace_back("retry-after", retry_after);
    return response;
  };
  CHECK(judge_export(answer(200), 0).kind == Kind::kTaken);
  for (const unsigned status : {400U, 401U, 404U, 413U, 500U, 302U, 204U})
    CHECK(judge_export(answer(status), 0).kind == Kind::kRefused);
  for (const unsigned status : {429U, 502U, 503U, 504U})
    CHECK(judge_export(answer(status), 0).kind == Kind::kRetry);
  CHECK(judge_export(fail(ErrorCode::kUnavailable, "refused"), 0).kind == Kind::kRetry);
  CHECK(judge_export(fail(ErrorCode::kTimeout, "silent"), 0).kind == Kind::kRetry);
  CHECK(judge_export(fail(ErrorCode::kMessage, "not HTTP"), 0).kind == Kind::kRefused);
  CHECK(judge_export(fail(ErrorCode::kLimit, "too large"), 0).kind == Kind::kRefused);

  struct Row {
    const char* text;
    TimeMs pause_ms;
  };
  constexpr TimeMs kNow = 1'445'412'470'000;  // Wed, 21 Oct 2015 07:27:50 GMT
  for (const Row& row : {Row{"7", 7'000},
                         {"0", 0},
                         {"-7", 0},
                         {"999999999999", 60'000},
                         {"99999999999999999999999999", 60'000},
                         {"Wed, 21 Oct 2015 07:28:00 GMT", 10'000},
                         {"Wed, 21 Oct 2015 07:27:00 GMT", 0},
                         {"Wed, 21 Oct 9999 07:27:00 GMT", 60'000},
                         {"soon", 0},
                         {"7 s", 0}})
    CHECK_MESSAGE(judge_export(answer(503, row.text), kNow).pause_ms == row.pause_ms, row.text);
}

// --- the variables

TraceConfig config(Environment environment, bool with_endpoint = true) {
  if (with_endpoint)
    environment.try_emplace("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
  return TraceConfig::read(environment, "notp-server");
}

std::string text_of(const TraceConfig& config, std::string_view key) {
  const auto found = std::ranges::find(config.source.resource, key, &SpanAttribute::key);
  return found == config.source.resource.end() ? "-" : std::get<std::string>(found->value);
}

TEST_CASE("variables: whether there are traces, and where they go") {
  struct Row {
    Environment environment;
    std::string endpoint;  // empty: no traces
    size_t warnings = 0;
  };
  const std::string base = "OTEL_EXPORTER_OTLP_ENDPOINT",
                    own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  for (const Row& row : {
           Row{{}, ""},
           {{{base, ""}}, ""},
           {{{base, "http://c:4318"}}, "http://c:4318/v1/traces"},
           {{{base, " http://c:4318// "}}, "http://c:4318/v1/traces"},
           {{{base, "https://c/otlp/"}}, "https://c/otlp/v1/traces"},
           {{{own, "http://c:4318"}}, "http://c:4318"},
           {{{own, "http://c/x"}, {base, "http://d"}}, "http://c/x"},
           {{{own, ""}, {base, "http://d"}}, "http://d/v1/traces"},
           {{{base, "c:4318"}}, "", 1},
           {{{base, "ftp://c"}}, "", 1},
           {{{own, "http://u:p@c"}}, "", 1},
           {{{base, "http://c"}, {"OTEL_SDK_DISABLED", "true"}}, ""},
           {{{base, "http://c"}, {"OTEL_SDK_DISABLED", "TRUE"}}, ""},
           {{{base, "http://c"}, {"OTEL_SDK_DISABLED", "1"}}, "http://c/v1/traces"},
           {{{base, "http://c"}, {"OTEL_TRACES_EXPORTER", "none"}}, ""},
           {{{base, "http://c"}, {"OTEL_TRACES_EXPORTER", "otlp"}}, "http://c/v1/traces"},
           {{{base, "http://c"}, {"OTEL_TRACES_EXPORTER", "zipkin"}}, "", 1},
           {{{"OTEL_TRACES_EXPORTER", "otlp"}}, ""},
           {{{base, "http://c"}, {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"}},
            "http://c/v1/traces"},
           {{{base, "http://c"}, {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}}, "http://c/v1/traces", 1},
       }) {
    const TraceConfig read = config(row.environment, /*with_endpoint=*/false);
    CHECK(read.endpoint == row.endpoint);
    CHECK(read.warnings.size() == row.warnings);
  }
}

TEST_CASE("variables: a password in an endpoint or a header is not repeated") {
  const TraceConfig read = config({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:s3cret@c"},
                                   {"OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret%0a,x"}});
  const TraceConfig headers = config({{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret%0a"}});
  CHECK(headers.headers.empty());
  for (const TraceConfig& one : {read, headers}) {
    REQUIRE(one.warnings.size() == 1);
    CHECK_FALSE(one.warnings[0].contains("s3cret"));
  }
}

TEST_CASE("variables: headers") {
  struct Row {
    std::string text;
    http::Headers headers;
    size_t warnings = 0;
  };
  for (const Row& row : {
           Row{"", {}},
           {"api-key=abc", {{"api-key", "abc"}}},
           {" a = 1 , b=2,", {{"a", "1"}, {"b", "2"}}},
           {"authorization=Basic%20dTpw%3D%3D", {{"authorization", "Basic dTpw=="}}},
           {"a=b=c", {{"a", "b=c"}}},
           {"a", {}, 1},
           {"a b=c", {}, 1},
           {"a=%zz", {}, 1},
           {"Host=x,a=1", {{"a", "1"}}, 1},
           {"content-type=x", {}, 1},
       }) {
    const TraceConfig read = config({{"OTEL_EXPORTER_OTLP_HEADERS", row.text}});
    CHECK_MESSAGE(read.headers == row.headers, row.text);
    CHECK_MESSAGE(read.warnings.size() == row.warnings, row.text);
  }
  CHECK(
      config({{"OTEL_EXPORTER_OTLP_HEADERS", "a=1"}, {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"}})
          .headers == http::Headers{{"b", "2"}});
}

TEST_CASE("variables: times, certificates, samplers") {
  CHECK(config({}).timeout_ms == 10'000);
  CHECK(config({{"OTEL_EXPORTER_OTLP_TIMEOUT", "250"}}).timeout_ms == 250);
  CHECK(config({{"OTEL_EXPORTER_OTLP_TIMEOUT", "250"}, {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "5"}})
            .timeout_ms == 5);
  CHECK(config({{"OTEL_EXPORTER_OTLP_TIMEOUT", "999999999"}}).timeout_ms == 60'000);
  for (const char* wrong : {"0", "-1", "10s", "1e3"}) {
    const TraceConfig read = config({{"OTEL_EXPORTER_OTLP_TIMEOUT", wrong}});
    CHECK(read.timeout_ms == 10'000);
    CHECK(read.warnings.size() == 1);
  }
  CHECK(config({{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"}}).tls.authorities == "/ca.pem");
  CHECK(config({{"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k"}}).warnings.size() == 1);

  struct Row {
    std::string name, argument;
    Sampler sampler;
    size_t warnings = 0;
  };
  using Kind = Sampler::Kind;
  for (const Row& row : {Row{"", "", {}},
                         {"", "0.5", {}},
                         {"always_on", "", {Kind::kAlwaysOn, 1, false}},
                         {"always_off", "", {Kind::kAlwaysOff, 1, false}},
                         {"parentbased_always_off", "", {Kind::kAlwaysOff, 1, true}},
                         {"traceidratio", "0.5", {Kind::kRatio, 0.5, false}},
                         {"parentbased_traceidratio", "0.25", {Kind::kRatio, 0.25, true}},
                         {"parentbased_traceidratio", "", {Kind::kRatio, 1, true}},
                         {"parentbased_traceidratio", "2", {Kind::kRatio, 1, true}, 1},
                         {"parentbased_traceidratio", "nan", {Kind::kRatio, 1, true}, 1},
                         {"jaeger_remote", "", {}, 1}}) {
    const TraceConfig read =
        config({{"OTEL_TRACES_SAMPLER", row.name}, {"OTEL_TRACES_SAMPLER_ARG", row.argument}});
    CHECK(read.sampler.kind == row.sampler.kind);
    CHECK(read.sampler.ratio == row.sampler.ratio);
    CHECK(read.sampler.is_parent_based == row.sampler.is_parent_based);
    CHECK(read.warnings.size() == row.warnings);
  }
}

TEST_CASE("variables: what spans say of their process") {
  CHECK(text_of(config({}), "service.name") == "notp-server");
  CHECK(text_of(config({}), "service.version") == NOTP_VERSION);
  const std::string list = "OTEL_RESOURCE_ATTRIBUTES", name = "OTEL_SERVICE_NAME";
  CHECK(text_of(config({{list, "service.name=a"}}), "service.name") == "a");
  CHECK(text_of(config({{list, "service.name=a"}, {name, "b"}}), "service.name") == "b");
  const TraceConfig read =
      config({{list, "deployment.environment.name=pre%20prod,service.version=9"}});
  CHECK(text_of(read, "deployment.environment.name") == "pre prod");
  CHECK(text_of(read, "service.version") == "9");
  // One mistake, and none of it counts.
  for (const char* wrong : {"a", "a=1,b=%ff", "a=%2"}) {
    const TraceConfig none = config({{list, wrong}});
    CHECK(text_of(none, "a") == "-");
    CHECK(none.warnings.size() == 1);
  }
}

}  // namespace
}  // namespace notp
