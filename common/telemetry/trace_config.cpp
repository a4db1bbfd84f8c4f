#include "common/telemetry/trace_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <charconv>
#include <optional>

#include "common/http/exchange.hpp"
#include "common/http/url.hpp"

namespace notp {
namespace {

constexpr std::string_view kPath = "/v1/traces";
// The client sets these itself.
constexpr std::array<std::string_view, 7> kOwnHeaders = {
    "host",       "content-length",    "content-type", "connection",
    "user-agent", "transfer-encoding", "expect"};

bool is_own(std::string_view header) {
  return std::ranges::any_of(
      kOwnHeaders, [&](std::string_view own) { return boost::beast::iequals(own, header); });
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

bool is_field_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= ' ' && c < 0x7f) || c == '\t'; });
}

struct NamedText {
  std::string name, value;
};

// "name=value,name=value" with percent-encoded values, as in W3C Baggage. nullopt: it is not that.
std::optional<std::vector<NamedText>> read_list(std::string_view text) {
  std::vector<NamedText> out;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view entry = trimmed(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (entry.empty()) continue;
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos || out.size() == kTraceListMax) return std::nullopt;
    const std::string_view name = trimmed(entry.substr(0, equals));
    const auto value = http::percent_decode(trimmed(entry.substr(equals + 1)));
    if (!http::is_token(name) || !value || !is_utf8(*value) ||
        std::max(name.size(), value->size()) > kTraceTextBytesMax)
      return std::nullopt;
    out.push_back({std::string(name), *value});
  }
  return out;
}

template <typename T>
std::optional<T> number_in(std::string_view text) {
  T out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

class Reader {
 public:
  Reader(const Environment& environment, std::string_view program)
      : environment_(environment), program_(program) {}

  TraceConfig run() {
    read_source();
    if (is_off()) return std::move(out_);
    read_endpoint();
    if (out_.endpoint.empty()) return std::move(out_);
    read_headers();
    read_timeout();
    read_tls();
    read_sampler();
    if (const auto [name, value] = otlp("PROTOCOL"); !value.empty() && value != "http/json")
      warn(name,
           "traces are sent by http/json, which collectors take at the port of http/protobuf");
    return std::move(out_);
  }

 private:
  struct Variable {
    std::string name;
    std::string_view value;  // empty: not set
  };

  Variable variable(std::string name) const {
    const auto found = environment_.find(name);
    return {std::move(name), found == environment_.end() ? "" : trimmed(found->second)};
  }
  // The one for traces, else the one for all signals.
  Variable otlp(std::string_view name) const {
    Variable own = variable(fmt::format("OTEL_EXPORTER_OTLP_TRACES_{}", name));
    return own.value.empty() ? variable(fmt::format("OTEL_EXPORTER_OTLP_{}", name)) : own;
  }
  void warn(std::string_view name, std::string_view what) {
    out_.warnings.push_back(fmt::format("{}: {}", name, what));
  }

  bool is_off() {
    if (boost::beast::iequals(variable("OTEL_SDK_DISABLED").value, "true")) return true;
    const auto [name, value] = variable("OTEL_TRACES_EXPORTER");
    if (value.empty() || value == "otlp") return false;
    if (value != "none") warn(name, "this program knows otlp and none; there are no traces");
    return true;
  }

  void read_endpoint() {
    auto [name, value] = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    std::string url(value);
    if (url.empty()) {
      const Variable base = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
      if (base.value.empty()) return;
      name = base.name;
      url = base.value;
      while (url.ends_with('/')) url.pop_back();
      url += kPath;
    }
    if (const auto parsed = http::Url::parse(url); !parsed)
      return warn(name, parsed.error().message + "; there are no traces");
    out_.endpoint = std::move(url);
  }

  void read_headers() {
    const auto [name, value] = otlp("HEADERS");
    const auto list = read_list(value);
    if (!list) return warn(name, "not of the form name=value,name=value; no headers are sent");
    for (const NamedText& entry : *list) {
      if (is_own(entry.name) || !is_field_value(entry.value))
        warn(name, fmt::format("{} cannot be sent", entry.name));
      else
        out_.headers.emplace_back(entry.name, entry.value);
    }
  }

  void read_timeout() {
    const auto [name, value] = otlp("TIMEOUT");
    if (value.empty()) return;
    const auto ms = number_in<int64_t>(value);
    if (!ms || *ms <= 0)
      return warn(name, fmt::format("not a number of milliseconds; {} count", kTraceTimeoutMs));
    out_.timeout_ms = std::min(*ms, kTraceTimeoutMsMax);
  }

  void read_tls() {
    out_.tls.authorities = otlp("CERTIFICATE").value;
    out_.tls.certificate = otlp("CLIENT_CERTIFICATE").value;
    out_.tls.private_key = otlp("CLIENT_KEY").value;
    if (out_.tls.certificate.empty() != out_.tls.private_key.empty()) {
      warn("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "it and …_CLIENT_KEY belong together");
      out_.tls.certificate.clear();
      out_.tls.private_key.clear();
    }
  }

  void read_sampler() {
    auto [name, value] = variable("OTEL_TRACES_SAMPLER");
    if (value.empty()) return;
    Sampler sampler;
    constexpr std::string_view kParentBased = "parentbased_";
    sampler.is_parent_based = value.starts_with(kParentBased);
    if (sampler.is_parent_based) value.remove_prefix(kParentBased.size());
    if (value == "always_on")
      sampler.kind = Sampler::Kind::kAlwaysOn;
    else if (value == "always_off")
      sampler.kind = Sampler::Kind::kAlwaysOff;
    else if (value == "traceidratio")
      sampler.kind = Sampler::Kind::kRatio;
    else
      return warn(name, "this program knows [parentbased_]always_on, …always_off, …traceidratio");
    if (sampler.kind == Sampler::Kind::kRatio) sampler.ratio = read_ratio();
    out_.sampler = sampler;
  }

  double read_ratio() {
    const auto [name, value] = variable("OTEL_TRACES_SAMPLER_ARG");
    if (value.empty()) return 1;
    const auto ratio = number_in<double>(value);
    if (ratio && *ratio >= 0 && *ratio <= 1) return *ratio;
    warn(name, "not a number from 0 to 1; 1 counts");
    return 1;
  }

  void read_source() {
    std::vector<SpanAttribute>& resource = out_.source.resource;
    std::string service(program_);
    const auto [name, value] = variable("OTEL_RESOURCE_ATTRIBUTES");
    const auto list = read_list(value);
    if (!list) warn(name, "not of the form name=value,name=value; none of it counts");
    for (const NamedText& entry : list.value_or(std::vector<NamedText>())) {
      if (entry.name == "service.name")
        service = entry.value;
      else
        resource.push_back({entry.name, entry.value});
    }
    const auto [service_name, chosen] = variable("OTEL_SERVICE_NAME");
    if (is_utf8(chosen) && chosen.size() <= kTraceTextBytesMax && !chosen.empty()) service = chosen;
    resource.insert(resource.begin(), {"service.name", std::move(service)});
    const auto add = [&](std::string_view key, std::string_view text) {
      if (std::ranges::find(resource, key, &SpanAttribute::key) == resource.end())
        resource.push_back({std::string(key), std::string(text)});
    };
    add("service.version", NOTP_VERSION);
    add("telemetry.sdk.name", "notp");
    add("telemetry.sdk.language", "cpp");
    add("telemetry.sdk.version", NOTP_VERSION);
    out_.source.scope = "notp";
    out_.source.scope_version = NOTP_VERSION;
  }

  const Environment& environment_;
  const std::string_view program_;
  TraceConfig out_;
};

}  // namespace

TraceConfig TraceConfig::read(const Environment& environment, std::string_view program) {
  return Reader(environment, program).run();
}

}  // namespace notp
