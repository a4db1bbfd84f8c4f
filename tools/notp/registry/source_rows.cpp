#include "tools/notp/registry/source_rows.hpp"

#include <fmt/format.h>

#include "protocol/wire/source_names.hpp"

namespace notp::cli {
namespace {

std::string painted_state(const Output& output, wire::IssuerState state) {
  const Colour colour = state == wire::IssuerState::kOk     ? Colour::kGreen
                        : state == wire::IssuerState::kLate ? Colour::kYellow
                                                            : Colour::kRed;
  return output.paint(colour, wire::source_state_name(state));
}

std::string time_and_age(TimeMs time_ms, TimeMs now_ms) {
  if (time_ms == 0) return "never";
  return fmt::format("{} ({})", utc_time(time_ms), ago(time_ms, now_ms));
}

std::string until_text(TimeMs time_ms, TimeMs now_ms) {
  if (time_ms == 0) return "-";
  return time_ms <= now_ms ? "now" : "in " + age(now_ms, time_ms);
}

std::string version_text(uint64_t version) {
  return version == 0 ? "none" : fmt::format("v{}", version);
}

std::string reason_of(const wire::SourceRow& row) {
  const std::string_view code = error_traits(error_code_from_wire(row.code)).name;
  return row.message.empty() ? std::string(code)
                             : fmt::format("{} ({})", printable(row.message), code);
}

// The last fetch was good: what is wrong is the release.
bool is_unpublished(const wire::SourceRow& row) {
  return row.code != 0 && row.status.good_ms != 0 && row.status.good_ms >= row.fetched_ms;
}

std::string keys_in_use(const wire::SourceRow& row, TimeMs now_ms) {
  if (row.version == 0) return "nodes have no keys of it";
  return row.status.good_ms == 0 ? fmt::format("nodes keep those of v{}", row.version)
                                 : fmt::format("nodes keep those of v{}, fetched {}", row.version,
                                               ago(row.status.good_ms, now_ms));
}

}  // namespace

std::string source_advice(const wire::SourceRow& row, TimeMs now_ms) {
  const std::string keys = keys_in_use(row, now_ms);
  if (is_unpublished(row))
    return fmt::format("its keys are fetched and not published: {}; {}", reason_of(row),
                       row.version == 0 ? "nodes have no keys of it"
                                        : fmt::format("nodes keep those of v{}", row.version));
  switch (row.status.state) {
    case wire::IssuerState::kOk:
      return {};
    case wire::IssuerState::kLate:
      return row.code == 0 ? fmt::format("the keys have not been fetched in time; {}", keys)
                           : fmt::format("the last fetch failed: {}; {}; the next one is {}",
                                         reason_of(row), keys, until_text(row.next_ms, now_ms));
    case wire::IssuerState::kFailing:
      return fmt::format(
          "fetches have failed for long: {}; {}; see from the registry's machine whether {} "
          "answers, then 'notp sources refresh {}'",
          reason_of(row), keys, printable(row.jwks_uri.empty() ? row.status.issuer : row.jwks_uri),
          shell_word(row.status.name));
    case wire::IssuerState::kSuspect:
      return fmt::format(
          "the keys that it serves are not taken: {}; {}; tell the provider's operator, and 'notp "
          "sources refresh {}' when it is mended",
          reason_of(row), keys, shell_word(row.status.name));
  }
  return {};
}

std::string sources_text(const Output& output, const std::vector<wire::SourceRow>& rows,
                         TimeMs now_ms) {
  if (rows.empty())
    return "No source of keys: 'sources.issuers' of the registry's configuration names none, or "
           "none whose ledger this identity may read.\n";
  std::vector<std::vector<std::string>> lines{
      {"NAME", "STATE", "FETCHED", "NEXT", "KEYS", "RELEASE", "LEDGER", "ISSUER"}};
  std::string advice;
  for (const wire::SourceRow& row : rows) {
    lines.push_back({printable(row.status.name), painted_state(output, row.status.state),
                     row.status.good_ms == 0 ? "never" : ago(row.status.good_ms, now_ms),
                     until_text(row.next_ms, now_ms), std::to_string(row.kids.size()),
                     version_text(row.version), row.status.ledger.text(),
                     printable(row.status.issuer)});
    if (const std::string line = source_advice(row, now_ms); !line.empty())
      advice += fmt::format("{}: {}\n", printable(row.status.name), line);
  }
  return table(output, lines) + (advice.empty() ? "" : "\n" + advice);
}

std::string source_text(const Output& output, const wire::SourceRow& row, TimeMs now_ms) {
  std::string kids;
  for (const std::string& kid : row.kids)
    kids += (kids.empty() ? "" : " ") + (kid.empty() ? "(without kid)" : printable(kid));
  std::vector<std::pair<std::string, std::string>> rows{
      {"issuer", printable(row.status.issuer)},
      {"ledger", row.status.ledger.text()},
      {"state", painted_state(output, row.status.state)},
      {"good fetch", time_and_age(row.status.good_ms, now_ms)},
      {"last fetch",
       fmt::format("{}{}", time_and_age(row.fetched_ms, now_ms),
                   row.code == 0 || is_unpublished(row) ? "" : ": " + reason_of(row))},
      {"next fetch", until_text(row.next_ms, now_ms)},
      {"keys from", row.jwks_uri.empty() ? "not discovered yet" : printable(row.jwks_uri)},
      {"release", fmt::format("{}{}", version_text(row.version),
                              is_unpublished(row) ? ": " + reason_of(row) : "")},
      {"keys", kids.empty() ? "none" : fmt::format("{}: {}", row.kids.size(), kids)},
      {"fetches", human_count(row.fetches)},
      {"unknown keys", fmt::format("{} reported by nodes", human_count(row.unknown_keys))}};
  std::string text = fmt::format("{}\n{}", printable(row.status.name), facts(rows));
  if (const std::string advice = source_advice(row, now_ms); !advice.empty())
    text += fmt::format("{}\n", advice);
  return text;
}

json::object source_json(const wire::SourceRow& row, TimeMs now_ms) {
  json::object object{{"name", row.status.name},
                      {"issuer", row.status.issuer},
                      {"ledger", row.status.ledger.text()},
                      {"state", wire::source_state_name(row.status.state)},
                      {"kids", json::array(row.kids.begin(), row.kids.end())},
                      {"fetches", row.fetches},
                      {"unknown_keys", row.unknown_keys}};
  const auto add_time = [&](const std::string& name, TimeMs time_ms) {
    if (time_ms != 0) object[name] = utc_time(time_ms);
  };
  add_time("good", row.status.good_ms);
  if (row.status.good_ms != 0)
    object["good_age_s"] = std::max<TimeMs>(0, now_ms - row.status.good_ms) / 1000;
  add_time("fetched", row.fetched_ms);
  add_time("next", row.next_ms);
  if (row.version != 0) object["version"] = row.version;
  if (!row.jwks_uri.empty()) object["jwks_uri"] = row.jwks_uri;
  if (row.code != 0)
    object["error"] = json::object{{"code", error_traits(error_code_from_wire(row.code)).name},
                                   {"message", row.message}};
  if (const std::string advice = source_advice(row, now_ms); !advice.empty())
    object["advice"] = advice;
  return object;
}

}  // namespace notp::cli
