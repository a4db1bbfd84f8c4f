#include "tools/notp/top/screen.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/bytes.hpp"
#include "common/size_text.hpp"

namespace notp::cli {
namespace {

constexpr size_t kBarColumnsMin = 8, kBarColumnsMax = 60;
constexpr size_t kMessageBytesMax = 1'000;
constexpr std::string_view kUnknown = "-";

struct Part {
  char sign;
  Colour colour;
  std::string_view name;
};
// Signs as well as colours: not every terminal has colours, and not everybody sees them.
constexpr std::array<Part, 4> kParts = {{{'=', Colour::kGreen, "current"},
                                         {'-', Colour::kYellow, "older"},
                                         {'x', Colour::kRed, "rejected"},
                                         {'.', Colour::kDim, "away"}}};

// Characters that turn the direction of the text after them, which a terminal may obey.
bool turns_direction(std::string_view character) {
  if (character == "\xd8\x9c") return true;  // U+061C
  if (character.size() != 3 || character[0] != '\xe2') return false;
  const auto middle = static_cast<uint8_t>(character[1]), last = static_cast<uint8_t>(character[2]);
  return (middle == 0x80 && (last == 0x8e || last == 0x8f || (last >= 0xaa && last <= 0xae))) ||
         (middle == 0x81 && last >= 0xa6 && last <= 0xa9);
}

std::string safe(std::string_view foreign) {
  const std::string text = printable(foreign, kMessageBytesMax);
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view character =
        rest.substr(0, std::max<size_t>(1, utf8_sequence_bytes(rest)));
    if (!turns_direction(character)) out += character;
    rest.remove_prefix(character.size());
  }
  return out;
}

// The first `columns` columns; escape sequences are kept, also behind them.
std::string cut(std::string_view text, size_t columns) {
  std::string out;
  size_t used = 0;
  bool in_escape = false, cuts = false;
  for (const char c : text) {
    if (c == '\033') in_escape = true;
    if (in_escape) {
      out += c;
      in_escape = c != 'm';
      continue;
    }
    const bool begins = (static_cast<uint8_t>(c) & 0xC0) != 0x80;
    if (begins) cuts = used == columns;
    if (cuts) continue;
    if (begins) ++used;
    out += c;
  }
  return out;
}

// A name that does not fit keeps its end, in which names differ.
std::string fitted(const std::string& name, size_t columns) {
  const size_t used = shown_columns(name);
  if (used <= columns) return name + std::string(columns - used, ' ');
  if (columns < 2) return std::string(columns, '~');
  return "~" + name.substr(name.size() - std::min(name.size(), columns - 1));
}

std::string per_second(double rate) {
  if (rate < 10) return fmt::format("{:.1f}/s", rate);
  return human_count(static_cast<uint64_t>(std::llround(rate))) + "/s";
}

std::string duration_text(TimeMs ms) {
  if (ms < 1'000) return fmt::format("{} ms", ms);
  if (ms < 10'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  return age(0, ms);
}

// --- the facts above the ledgers

struct Fact {
  std::string name, value;
  bool is_bad = false;
};

// As many to a line as fit; a line that has one only may be cut.
void add_facts(const Output& output, const std::vector<Fact>& facts, size_t columns,
               std::vector<std::string>& out) {
  std::string line;
  size_t used = 0;
  for (const Fact& fact : facts) {
    const size_t size = fact.name.size() + 1 + shown_columns(fact.value);
    if (used != 0 && used + 3 + size > columns) {
      out.push_back(std::exchange(line, {}));
      used = 0;
    }
    if (used != 0) line += "   ";
    used += (used != 0 ? 3 : 0) + size;
    line += fact.name + " " + output.paint(fact.is_bad ? Colour::kRed : Colour::kBold, fact.value);
  }
  if (!line.empty()) out.push_back(std::move(line));
}

std::vector<Fact> stands(const wire::RegistryStatus& status) {
  const uint64_t away = status.nodes - std::min(status.nodes, status.connected);
  return {{"sessions", human_count(status.sessions)},
          {"nodes", human_count(status.nodes)},
          {"connected", human_count(status.connected)},
          {"away", human_count(away)},
          {"stale", human_count(status.stale), status.stale != 0}};
}

std::vector<Fact> movements(const wire::RegistryStatus& status, const std::optional<Rates>& rates) {
  const auto moved = [&](uint64_t total, double Rates::* rate) {
    const std::string count = human_count(total);
    return rates ? fmt::format("{} ({})", count, per_second(*rates.*rate)) : count;
  };
  const std::string sent =
      size_text(status.sent_bytes) +
      (rates ? fmt::format(" ({}/s)", size_text(static_cast<uint64_t>(rates->sent_bytes))) : "");
  return {
      {"publishes", moved(status.publishes, &Rates::publishes)},
      {"pushes", moved(status.offers, &Rates::offers)},
      {"sent", sent},
      {"ACTIVE", moved(status.activations, &Rates::activations)},
      {"rejected", moved(status.rejections, &Rates::rejections), rates && rates->rejections > 0},
      {"records", moved(status.records, &Rates::records)},
      {"lag", status.lag_ms == 0 ? "0" : duration_text(static_cast<TimeMs>(status.lag_ms))}};
}

// --- the ledgers

struct Columns {
  size_t name = 0, version = 0, bar = 0;
  bool has_nodes = false;   // how many nodes, and how many of them are current
  bool has_counts = false;  // the other counts, and the times
};

constexpr size_t kVersionColumns = 7, kNodesColumns = 16, kCountColumns = 8, kTimeColumns = 7;

Columns columns_for(const std::vector<wire::LedgerStatus>& ledgers, size_t width) {
  size_t longest = 6;
  for (const wire::LedgerStatus& row : ledgers)
    longest = std::max(longest, row.ledger.text().size());
  Columns out;
  out.has_nodes = width >= 60;
  out.has_counts = width >= 110;
  const size_t fixed = 1 + kVersionColumns + (out.has_nodes ? 1 + kNodesColumns : 0) +
                       (out.has_counts ? 3 * (1 + kCountColumns) + 2 * (1 + kTimeColumns) : 0) + 1 +
                       kBarColumnsMin;
  out.version = kVersionColumns;
  out.name = std::clamp<size_t>(longest, 4, width > fixed + 4 ? width - fixed : 4);
  const size_t used = fixed - kBarColumnsMin + out.name;
  out.bar = std::min(kBarColumnsMax, width > used ? width - used : 0);
  return out;
}

std::string heading(const Columns& columns) {
  std::string line = fitted("LEDGER", columns.name);
  const auto add = [&](std::string_view name, size_t width) {
    line += fmt::format(" {:>{}}", name, width);
  };
  add("VERSION", columns.version);
  if (columns.has_nodes) add("CURRENT OF NODES", kNodesColumns);
  if (columns.has_counts) {
    add("OLDER", kCountColumns);
    add("REJECTED", kCountColumns);
    add("AWAY", kCountColumns);
    add("AGE", kTimeColumns);
    add("SLOWEST", kTimeColumns);
  }
  return line;
}

std::string bar(const Output& output, const wire::LedgerStatus& row, size_t columns) {
  const auto cells = bar_cells({row.current, row.older, row.rejected, row.away}, columns);
  std::string out;
  for (size_t i = 0; i < kParts.size(); ++i)
    if (cells[i] != 0) out += output.paint(kParts[i].colour, std::string(cells[i], kParts[i].sign));
  return out;
}

// Padded before it is painted: colours take no columns.
std::string count_cell(const Output& output, uint64_t count, Colour colour) {
  const std::string text = fmt::format(" {:>{}}", human_count(count), kCountColumns);
  return count == 0 ? text : output.paint(colour, text);
}

std::string ledger_line(const Output& output, const wire::LedgerStatus& row, const Columns& columns,
                        TimeMs now_ms) {
  std::string line = fitted(safe(row.ledger.text()), columns.name);
  line += fmt::format(" {:>{}}", fmt::format("v{}", row.head_version), columns.version);
  if (columns.has_nodes)
    line += fmt::format(" {:>{}}",
                        fmt::format("{}/{}", human_count(row.current), human_count(row.nodes)),
                        kNodesColumns);
  if (columns.has_counts) {
    line += count_cell(output, row.older, Colour::kYellow);
    line += count_cell(output, row.rejected, Colour::kRed);
    line += count_cell(output, row.away, Colour::kDim);
    line += fmt::format(
        " {:>{}}", row.published_ms == 0 ? std::string(kUnknown) : age(row.published_ms, now_ms),
        kTimeColumns);
    line += fmt::format(" {:>{}}",
                        row.slowest_ms == 0 ? std::string(kUnknown) : duration_text(row.slowest_ms),
                        kTimeColumns);
  }
  return line + " " + bar(output, row, columns.bar);
}

std::string legend(const Output& output) {
  std::string line;
  for (const Part& part : kParts)
    line += fmt::format("{}{} {}", line.empty() ? "" : "  ",
                        output.paint(part.colour, std::string(1, part.sign)), part.name);
  return line;
}

void add_ledgers(const Output& output, const wire::RegistryStatus& status, Room room,
                 std::vector<std::string>& out) {
  const std::vector<wire::LedgerStatus>& ledgers = status.ledgers;
  if (ledgers.empty()) return out.push_back("The registry has no ledger yet.");
  if (out.size() + 3 > room.rows) return;
  const Columns columns = columns_for(ledgers, room.columns);
  const size_t free = room.rows - out.size() - 2;  // below the heading, above the legend
  size_t shown = std::min(ledgers.size(), room.ledgers);
  if (shown + (shown < ledgers.size() ? 1 : 0) > free) shown = free - (free > 1 ? 1 : 0);
  out.push_back(output.paint(Colour::kBold, cut(heading(columns), room.columns)));
  for (size_t i = 0; i < shown; ++i)
    out.push_back(ledger_line(output, ledgers[i], columns, status.now_ms));
  if (shown < ledgers.size() && shown < free)
    out.push_back(output.paint(
        Colour::kDim, fmt::format("and {} more", counted(ledgers.size() - shown, "ledger"))));
  out.push_back(legend(output));
}

std::string trouble_line(const Output& output, const View& view) {
  const Trouble& trouble = *view.trouble;
  const std::string since = duration_text(std::max<TimeMs>(0, view.now_ms - trouble.since_ms));
  const std::string what = view.status == nullptr ? fmt::format("no answer for {}", since)
                                                  : fmt::format("this is {} old", since);
  return output.paint(Colour::kRed, fmt::format("{}: {}", what, safe(trouble.message)));
}

}  // namespace

std::array<size_t, 4> bar_cells(const std::array<uint64_t, 4>& parts, size_t columns) {
  std::array<size_t, 4> cells{};
  double sum = 0;
  for (const uint64_t part : parts) sum += static_cast<double>(part);
  if (sum == 0 || columns == 0) return cells;
  std::array<double, 4> wanted{};
  size_t used = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    wanted[i] = static_cast<double>(parts[i]) / sum * static_cast<double>(columns);
    cells[i] = std::max<size_t>(static_cast<size_t>(wanted[i]), parts[i] != 0 ? 1 : 0);
    used += cells[i];
  }
  const auto short_of = [&](size_t i) { return wanted[i] - static_cast<double>(cells[i]); };
  for (; used < columns; ++used) {
    size_t most = 0;
    for (size_t i = 1; i < cells.size(); ++i)
      if (short_of(i) > short_of(most)) most = i;
    ++cells[most];
  }
  // The cells that small parts were given come from the largest ones.
  for (; used > columns; --used) --*std::ranges::max_element(cells);
  return cells;
}

std::vector<std::string> screen_lines(const Output& output, const View& view, Room room) {
  room.columns = std::max(room.columns, size_t{1});
  std::vector<std::string> out;
  std::string title = output.paint(Colour::kBold, "notp top") + "  " + safe(view.registry);
  if (view.status != nullptr)
    title += fmt::format("  {}  up {}", utc_time(view.status->now_ms),
                         age(view.status->started_ms, view.status->now_ms));
  out.push_back(std::move(title));
  if (view.trouble) out.push_back(trouble_line(output, view));
  if (view.status != nullptr) {
    const size_t columns = std::max(room.columns, kScreenColumnsMin);
    add_facts(output, stands(*view.status), columns, out);
    add_facts(output, movements(*view.status, view.rates), columns, out);
    out.emplace_back();
    add_ledgers(output, *view.status, {columns, room.rows, room.ledgers}, out);
  }
  if (out.size() > room.rows) out.resize(room.rows);
  for (std::string& line : out) line = cut(line, room.columns);
  return out;
}

}  // namespace notp::cli
