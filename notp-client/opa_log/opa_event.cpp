#include "notp-client/opa_log/opa_event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "common/http/message.hpp"
#include "common/json/json_members.hpp"
#include "common/limits.hpp"
#include "common/utf8_cut.hpp"
#include "notp-client/opa_log/event_mark.hpp"
#include "notp-client/opa_log/event_time.hpp"
#include "notp-client/opa_log/json_text.hpp"

namespace notp::opa_log {
namespace {

constexpr std::string_view kDecisionType = "openpolicyagent.org/decision_logs";
constexpr std::string_view kCompileType = "open-policy-agent/compile";
constexpr std::string_view kLineStart = R"({"time":")";
constexpr std::string_view kBundle = "notp";
// Pointers that a record names are cut there: a name can be as long as an input.
constexpr size_t kPointerBytesMax = 1 << 10;
// Places in one line where a line may begin: an input can look like one, too.
constexpr size_t kLineStartsMax = 4;

using Members = std::vector<JsonMember>;

std::unexpected<Error> refuse(std::string_view what) {
  return fail(ErrorCode::kMessage, fmt::format("not an event of OPA's decision log: {}", what));
}

void cut(std::string& text, size_t bytes_max) { text.resize(utf8_cut(text, bytes_max).size()); }

// Reads the members of one event.
class EventReader {
 public:
  EventReader(const JsonOutline& outline, Members members)
      : outline_(outline), members_(std::move(members)) {}

  Result<OpaEvent> read(ByteView text) {
    OpaEvent event;
    record::DecisionContent& content = event.content;
    content.api = record::Api::kOpa;
    NOTP_TRY(read_names(event));
    event.key = content.decision_id.empty() ? EventKey::of_text(text)
                                            : EventKey::of_id(content.decision_id);
    NOTP_ASSIGN(const std::string time, text_of("timestamp", kEventNameBytesMax));
    const auto time_ns = parse_time(time);
    if (!time_ns) return refuse(fmt::format("timestamp {} is not a time", printable(time)));
    event.time_ns = *time_ns;
    event.path = segments_of(cut_text("path"));
    content.path = record_path(event.path);
    content.query = cut_text("query");
    NOTP_TRY(read_values(event));
    read_error(content);
    read_metrics(content);
    NOTP_TRY(read_mark(event));
    const auto kind = value_in("custom", "type");
    event.is_counted = !kind || json_text(*kind) != kCompileType;
    fit(content);
    return event;
  }

 private:
  std::optional<ByteView> value_of(std::string_view name) const {
    return json_member(members_, name);
  }

  std::optional<ByteView> value_in(std::string_view object, std::string_view name) const {
    const auto value = value_of(object);
    const auto inside = value ? outline_.members(*value) : std::nullopt;
    return inside ? json_member(*inside, name) : std::nullopt;
  }

  // Empty when there is none.
  Result<std::string> text_of(std::string_view name, size_t bytes_max) const {
    return text_of(value_of(name), name, bytes_max);
  }
  static Result<std::string> text_of(std::optional<ByteView> value, std::string_view name,
                                     size_t bytes_max) {
    if (!value) return std::string();
    auto text = json_text(*value);
    if (!text) return refuse(fmt::format("{} is not a text", name));
    if (text->size() > bytes_max)
      return refuse(
          fmt::format("{} has {} bytes, at most {} are read", name, text->size(), bytes_max));
    return *std::move(text);
  }

  std::string cut_text(std::string_view name) const {
    const auto value = value_of(name);
    auto text = value ? json_text(*value) : std::nullopt;
    if (!text) return {};
    cut(*text, kEventPathBytesMax);
    return *std::move(text);
  }

  Result<void> read_names(OpaEvent& event) const {
    record::DecisionContent& content = event.content;
    NOTP_ASSIGN(event.instance, text_of(value_in("labels", "id"), "labels.id", kEventNameBytesMax));
    NOTP_ASSIGN(content.decision_id, text_of("decision_id", kEventNameBytesMax));
    NOTP_ASSIGN(content.batch_decision_id, text_of("batch_decision_id", kEventNameBytesMax));
    NOTP_ASSIGN(content.trace_id, text_of("trace_id", kEventNameBytesMax));
    NOTP_ASSIGN(content.span_id, text_of("span_id", kEventNameBytesMax));
    NOTP_ASSIGN(content.requested_by, text_of("requested_by", kEventNameBytesMax));
    if (const auto number = value_of("req_id")) content.req_id = number_of(*number);
    if (const auto bundle = value_in("bundles", kBundle)) {
      const auto inside = outline_.members(*bundle);
      const auto revision = inside ? json_member(*inside, "revision") : std::nullopt;
      if (revision) event.revision = json_text(*revision).value_or("");
    }
    NOTP_TRY(read_pointers("erased", content.erased));
    return read_pointers("masked", content.masked);
  }

  Result<void> read_pointers(std::string_view name, std::vector<std::string>& into) const {
    const auto value = value_of(name);
    if (!value) return {};
    const auto elements = outline_.elements(*value);
    if (!elements) return refuse(fmt::format("{} is not an array", name));
    for (const ByteView element : *elements) {
      if (into.size() == limits::kMaskedPathsMax) break;
      auto pointer = json_text(element);
      if (!pointer) return refuse(fmt::format("{} has an element that is not a text", name));
      cut(*pointer, kPointerBytesMax);
      into.push_back(*std::move(pointer));
    }
    return {};
  }

  Result<void> read_values(OpaEvent& event) const {
    record::DecisionContent& content = event.content;
    withhold_unreadable("input", content.input, content);
    withhold_unreadable("result", content.result, content);
    if (content.withheld) content.input = content.result = std::nullopt;
    read_extra("nd_builtin_cache", content.nd_builtin_cache);
    read_extra("mapped_result", content.mapped_result);
    read_extra("intermediate_results", content.intermediate_results);
    read_extra("rule_labels", content.rule_labels);
    read_extra("request_context", content.request_context);
    read_extra("custom", content.custom);
    return {};
  }

  // OPA takes deeper values than a record may hold.
  void withhold_unreadable(std::string_view name, std::optional<Bytes>& into,
                           record::DecisionContent& content) const {
    const auto value = value_of(name);
    if (!value) return;
    into = compact_json(*value);
    if (into) return;
    if (!content.withheld)
      content.withheld = record::Withheld{
          record::WithheldReason::kOversized,
          fmt::format("{} is not JSON of at most {} levels", name, limits::kJsonDepthMax),
          {},
          {}};
    (name == "input" ? content.withheld->input_hash : content.withheld->result_hash) =
        sha256(*value);
  }

  void read_extra(std::string_view name, Bytes& into) const {
    if (const auto value = value_of(name); value && *value != "{}" && *value != "null")
      into = compact_json(*value).value_or("");
  }

  void read_error(record::DecisionContent& content) const {
    content.outcome = outcome_of_result(content);
    const auto value = value_of("error");
    if (!value) return;
    if (const auto text = json_text(*value)) {
      content.error = failure_of_text(*text);
    } else if (const auto inside = outline_.members(*value)) {
      record::Failure failure;
      const auto read = [&](std::string_view name) {
        const auto member = json_member(*inside, name);
        return member ? json_text(*member).value_or("") : std::string();
      };
      failure.code = read("code");
      failure.message = read("message");
      if (auto compact = compact_json(*value)) failure.errors = "[" + *compact + "]";
      if (failure.errors.size() > limits::kErrorTextBytesMax) failure.errors.clear();
      content.error = std::move(failure);
    }
    if (!content.error) content.error = record::Failure{"", "OPA's error cannot be read", {}};
    cut(content.error->code, kEventNameBytesMax);
    cut(content.error->message, limits::kErrorTextBytesMax);
    content.outcome = content.error->code == "undefined_document" ? record::Outcome::kUndefined
                                                                  : record::Outcome::kError;
  }

  // "b/policy.rego:7: eval_conflict_error: rule …", "undefined_document: document missing: …".
  static record::Failure failure_of_text(std::string_view text) {
    const auto code_at = [&](size_t at) {
      size_t end = at;
      while (end < text.size() && (text[end] == '_' || (text[end] >= 'a' && text[end] <= 'z')))
        ++end;
      return end > at && text.substr(end).starts_with(": ") ? text.substr(at, end - at)
                                                            : std::string_view();
    };
    size_t at = 0;
    std::string_view code = code_at(0);
    for (size_t next = 0;
         code.empty() && (next = text.find(": ", next)) != std::string_view::npos;) {
      at = next += 2;
      if (text.substr(at).starts_with("eval_") || text.substr(at).starts_with("rego_"))
        code = code_at(at);
    }
    if (code.empty()) return {"", std::string(text), {}};
    return {std::string(code), std::string(text.substr(at + code.size() + 2)), {}};
  }

  // A result that was masked as a whole says nothing.
  static record::Outcome outcome_of_result(const record::DecisionContent& content) {
    const auto is_named = [](const std::vector<std::string>& pointers) {
      return std::ranges::find(pointers, "/result") != pointers.end();
    };
    const bool is_hidden = content.withheld || is_named(content.erased) || is_named(content.masked);
    return is_hidden ? record::Outcome::kOther : record::outcome_of(content.result);
  }

  void read_metrics(record::DecisionContent& content) const {
    const auto micros = [&](std::string_view name) {
      const auto value = value_in("metrics", name);
      return value ? number_of(*value) / 1000 : 0;
    };
    content.times.evaluation_us = micros("timer_rego_query_eval_ns");
    content.times.handler_us = micros("timer_server_handler_ns");
    // The clock that the policy saw: OPA records it for policies that ask for it.
    const auto cache = value_of("nd_builtin_cache");
    const auto functions = cache ? outline_.members(*cache) : std::nullopt;
    const auto clock = functions ? json_member(*functions, "time.now_ns") : std::nullopt;
    const auto calls = clock ? outline_.members(*clock) : std::nullopt;
    const auto reading = calls ? json_member(*calls, "[]") : std::nullopt;
    if (reading) content.eval_time_ns = static_cast<int64_t>(number_of(*reading));
  }

  // What our module for OPA's masks says of its own work.
  Result<void> read_mark(OpaEvent& event) const {
    const auto cache = value_of("nd_builtin_cache");
    const auto functions = cache ? outline_.members(*cache) : std::nullopt;
    if (!functions || !json_member(*functions, kMarkName)) return {};
    const auto mark = take_mark(event.content.nd_builtin_cache);
    if (!mark) return refuse("the mark of its masks cannot be read");
    event.is_masked = true;
    event.is_dropped = mark->is_dropped;
    apply_mark(*mark, event.content);
    return {};
  }

  static uint64_t number_of(ByteView text) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() &&
                   number <= static_cast<uint64_t>(INT64_MAX)
               ? number
               : 0;
  }

  // OPA logs the path as it was asked for, and reads a broken escape as it stands.
  static std::vector<std::string> segments_of(std::string_view escaped) {
    std::vector<std::string> segments;
    for (size_t at = 0; at <= escaped.size();) {
      const size_t end = std::min(escaped.find('/', at), escaped.size());
      const std::string_view segment = escaped.substr(at, end - at);
      at = end + 1;
      if (segment.empty()) continue;
      auto decoded = http::percent_decode(segment);
      segments.push_back(decoded && is_utf8(*decoded) ? *std::move(decoded) : std::string(segment));
    }
    return segments;
  }

  static std::string record_path(const std::vector<std::string>& segments) {
    std::string path;
    for (const std::string& segment : segments) {
      if (!path.empty()) path.push_back('/');
      for (const char c : segment) {
        if (c == '/' || c == '%')
          path += c == '/' ? "%2F" : "%25";
        else
          path.push_back(c);
      }
    }
    return path;
  }

  const JsonOutline& outline_;
  const Members members_;
};

Result<OpaEvent> parse_in(const JsonOutline& outline, ByteView text) {
  auto members = outline.members(text);
  if (!members) return refuse("not a JSON object");
  return EventReader(outline, *std::move(members)).read(text);
}

bool is_decision(const Members& members) {
  const auto type = json_member(members, "type");
  return type && json_text(*type) == kDecisionType;
}

}  // namespace

Result<OpaEvent> parse_event(ByteView text) {
  const auto outline = JsonOutline::find(text);
  if (!outline) return refuse("not JSON");
  return parse_in(*outline, text);
}

Result<OpaEvents> parse_events(ByteView array) {
  const auto outline = JsonOutline::find(array);
  const auto elements = outline ? outline->elements(array) : std::nullopt;
  if (!elements) return refuse("not a JSON array");
  OpaEvents all;
  all.events.reserve(elements->size());
  for (const ByteView element : *elements) {
    auto event = parse_in(*outline, element);
    if (event) {
      all.events.push_back(*std::move(event));
    } else if (++all.damaged == 1) {
      all.first_damage = event.error().message;
    }
  }
  return all;
}

Result<std::optional<OpaEvent>> parse_line(ByteView line) {
  size_t at = 0;
  for (size_t attempts = 0; attempts < kLineStartsMax; ++attempts) {
    const ByteView text = line.substr(at);
    const auto outline = JsonOutline::find(text);
    auto members = outline ? outline->members(text) : std::nullopt;
    if (members) {
      if (!is_decision(*members)) return std::optional<OpaEvent>();
      NOTP_ASSIGN(OpaEvent event, EventReader(*outline, *std::move(members)).read(text));
      return event;
    }
    // The first line of the next process follows a part of one without a break.
    at = line.find(kLineStart, at + 1);
    if (at == ByteView::npos) break;
  }
  return refuse("not a JSON object");
}

std::optional<OpaEvent> parse_long_line(ByteView head) {
  // The members come in the order of their declaration: what names the decision stands first.
  for (const std::string_view part : {R"(,"input":)", R"(,"result":)", R"(,"nd_builtin_cache":)"}) {
    const size_t end = head.find(part);
    if (end == ByteView::npos) continue;
    auto event = parse_line(Bytes(head.substr(0, end)) + "}");
    if (!event || !*event) continue;
    (*event)->content.outcome = record::Outcome::kOther;
    (*event)->content.withheld =
        record::Withheld{record::WithheldReason::kOversized,
                         fmt::format("the event has more than {} bytes", kEventBytesMax),
                         {},
                         {}};
    return **std::move(event);
  }
  return std::nullopt;
}

void fit(record::DecisionContent& content) {
  const auto leave_out = [&](Bytes& value, std::string_view name) {
    value.clear();
    if (content.erased.size() < limits::kMaskedPathsMax)
      content.erased.push_back(fmt::format("/{}", name));
  };
  if (content.nd_builtin_cache.size() > limits::kNdCacheBytesMax)
    leave_out(content.nd_builtin_cache, "nd_builtin_cache");
  const std::array<std::pair<Bytes*, std::string_view>, 5> extras = {
      {{&content.intermediate_results, "intermediate_results"},
       {&content.mapped_result, "mapped_result"},
       {&content.custom, "custom"},
       {&content.rule_labels, "rule_labels"},
       {&content.request_context, "request_context"}}};
  size_t bytes = 0;
  for (const auto& [value, name] : extras) {
    if (bytes + value->size() > kEventExtrasBytesMax) leave_out(*value, name);
    bytes += value->size();
  }
  const size_t parts = content.input.value_or("").size() + content.result.value_or("").size();
  if (parts <= limits::kRecordBytesMax - 2 * kEventExtrasBytesMax) return;
  content.withheld =
      record::Withheld{record::WithheldReason::kOversized,
                       fmt::format("input and result have {} bytes, at most {} are kept", parts,
                                   limits::kRecordBytesMax - 2 * kEventExtrasBytesMax),
                       {},
                       {}};
  if (content.input) content.withheld->input_hash = sha256(*content.input);
  if (content.result) content.withheld->result_hash = sha256(*content.result);
  content.input = content.result = std::nullopt;
}

}  // namespace notp::opa_log
