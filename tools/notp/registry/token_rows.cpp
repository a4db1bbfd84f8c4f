#include "tools/notp/registry/token_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/wire/source_names.hpp"

namespace notp::cli {
namespace {

constexpr TimeMs kSecondMs = 1'000;

std::string painted_state(const Output& output, wire::IssuerState state) {
  const Colour colour = state == wire::IssuerState::kOk     ? Colour::kGreen
                        : state == wire::IssuerState::kLate ? Colour::kYellow
                                                            : Colour::kRed;
  return output.paint(colour, wire::source_state_name(state));
}

std::string ago_or_never(TimeMs time_ms, TimeMs now_ms) {
  return time_ms == 0 ? "never" : ago(time_ms, now_ms);
}

// How far the slowest connected node is.
std::string applied_text(const wire::LaneRow& row) {
  if (row.nodes == 0) return "-";
  if (row.applied_min == 0) return "not yet";
  const uint64_t missing = row.revision - std::min(row.revision, row.applied_min);
  return missing == 0 ? "all" : fmt::format("all but {}", human_count(missing));
}

std::string_view state_name(wire::TokenState state) {
  switch (state) {
    case wire::TokenState::kAlive:
      return "alive";
    case wire::TokenState::kDeleted:
      return "deleted";
    case wire::TokenState::kUnknown:
      break;
  }
  return "unknown";
}

std::string sources_table(const Output& output, const std::vector<wire::LaneRow>& rows,
                          TimeMs now_ms) {
  std::vector<std::vector<std::string>> lines{
      {"LANE", "SOURCE", "KIND", "STATE", "LAST EVENT", "REACHED", "EVENTS", "REFUSED", "TELLS"}};
  for (const wire::LaneRow& row : rows)
    for (const wire::LaneSourceRow& source : row.sources)
      lines.push_back({printable(row.lane), printable(source.name), printable(source.kind),
                       painted_state(output, source.state), ago_or_never(source.event_ms, now_ms),
                       ago_or_never(source.contact_ms, now_ms), human_count(source.events),
                       human_count(source.refused), printable(source.tells)});
  return lines.size() == 1 ? std::string() : "\n" + table(output, lines);
}

json::object source_json(const wire::LaneSourceRow& source, TimeMs now_ms) {
  json::object out{{"name", source.name},
                   {"kind", source.kind},
                   {"state", wire::source_state_name(source.state)},
                   {"events", source.events},
                   {"refused", source.refused},
                   {"tells", source.tells}};
  if (source.event_ms != 0) {
    out["event"] = utc_time(source.event_ms);
    out["event_age_s"] = std::max<TimeMs>(0, now_ms - source.event_ms) / kSecondMs;
  }
  if (source.contact_ms != 0) out["reached"] = utc_time(source.contact_ms);
  if (!source.message.empty()) out["message"] = source.message;
  return out;
}

}  // namespace

std::string lane_advice(const wire::LaneRow& row) {
  if (row.tokens >= row.tokens_max)
    return fmt::format("it is full: {} tokens are its tokens_max, and more are refused",
                       human_count(row.tokens));
  if (row.too_slow > 0)
    return fmt::format("{} too slowly: they get what they have missed when they read again",
                       row.too_slow == 1 ? std::string("1 node reads")
                                         : fmt::format("{} nodes read", human_count(row.too_slow)));
  return {};
}

std::string lanes_text(const Output& output, const std::vector<wire::LaneRow>& rows,
                       TimeMs now_ms) {
  if (rows.empty()) return "No token lane: 'lanes' of the registry's configuration names none.\n";
  std::vector<std::vector<std::string>> lines{{"LANE", "REVISION", "TOKENS", "DELETED", "MARKS",
                                               "LISTS", "NODES", "APPLIED", "EVENTS", "REFUSED"}};
  std::string advice;
  const auto advise = [&](const std::string& name, const std::string& line) {
    if (!line.empty()) advice += fmt::format("{}: {}\n", name, line);
  };
  for (const wire::LaneRow& row : rows) {
    lines.push_back({printable(row.lane), std::to_string(row.revision), human_count(row.tokens),
                     human_count(row.deleted), human_count(row.marks), human_count(row.lists),
                     human_count(row.nodes), applied_text(row), human_count(row.events),
                     human_count(row.refused)});
    advise(printable(row.lane), lane_advice(row));
    for (const wire::LaneSourceRow& source : row.sources)
      advise(fmt::format("{}, source {}", printable(row.lane), printable(source.name)),
             printable(source.message));
  }
  return table(output, lines) + sources_table(output, rows, now_ms) +
         (advice.empty() ? "" : "\n" + advice);
}

json::object lane_json(const wire::LaneRow& row, TimeMs now_ms) {
  json::array sources;
  for (const wire::LaneSourceRow& source : row.sources)
    sources.push_back(source_json(source, now_ms));
  json::object out{{"name", row.lane},
                   {"instance", row.instance.hex()},
                   {"revision", row.revision},
                   {"tokens", row.tokens},
                   {"tokens_max", row.tokens_max},
                   {"deleted", row.deleted},
                   {"marks", row.marks},
                   {"lists", row.lists},
                   {"bytes", row.bytes},
                   {"nodes", row.nodes},
                   {"nodes_slow", row.too_slow},
                   {"events", row.events},
                   {"refused", row.refused},
                   {"sources", std::move(sources)}};
  if (row.applied_min != 0) out["applied_min"] = row.applied_min;
  if (const std::string advice = lane_advice(row); !advice.empty()) out["advice"] = advice;
  return out;
}

std::string token_text(const Output& output, const wire::TokenRow& row, TimeMs now_ms) {
  if (row.state == wire::TokenState::kUnknown)
    return "The lane does not know this token: it was never added, or has ended. A revocation of\n"
           "its subject or session may still be about it.\n";
  const bool is_alive = row.state == wire::TokenState::kAlive;
  const TimeMs until_ms = row.until_s * kSecondMs;
  std::vector<std::pair<std::string, std::string>> rows{
      {"state", output.paint(is_alive ? Colour::kGreen : Colour::kRed, state_name(row.state))},
      {is_alive ? "expires" : "kept until",
       fmt::format("{} ({})", utc_time(until_ms),
                   until_ms <= now_ms ? ago(until_ms, now_ms) : "in " + age(now_ms, until_ms))},
      {"revision", std::to_string(row.revision)},
      {"source", printable(row.source)}};
  if (!row.attributes.empty()) rows.emplace_back("attributes", printable(row.attributes));
  return facts(rows);
}

json::object token_json(const wire::TokenRow& row) {
  json::object out{{"state", state_name(row.state)}};
  if (row.state == wire::TokenState::kUnknown) return out;
  out["revision"] = row.revision;
  out["source"] = row.source;
  out["until"] = utc_time(row.until_s * kSecondMs);
  if (const auto attributes = parse_json(row.attributes)) out["attributes"] = *attributes;
  return out;
}

}  // namespace notp::cli
