// notp capacity: what a registry and a node need.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/bytes.hpp"
#include "common/size_text.hpp"
#include "common/storage/files.hpp"
#include "tools/notp/capacity/estimate.hpp"
#include "tools/notp/capacity/measured_run.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/duration.hpp"
#include "tools/notp/top/status_feed.hpp"

namespace notp::cli {
namespace {

struct CapacityOptions {
  std::optional<double> nodes, ledgers, ledgers_per_node, model_bytes, delta_bytes,
      publishes_per_hour, decisions_per_second, record_bytes, freshness_interval_s;
  std::vector<std::string> runs;
  bool from_registry = false;
  bool explain = false;
  bool print_coefficients = false;
};

constexpr double kSizeMax = 1e15;
constexpr size_t kRunBytesMax = 1 << 20;

// Products of large options may be above any integer.
uint64_t whole(double value) { return static_cast<uint64_t>(std::clamp(value, 0.0, 9e18)); }

// "500", "20KB", "1.5MB": powers of 1000.
CLI::Validator size_in_bytes() {
  return {[](std::string& text) -> std::string {
            double value = 0;
            const char* end = text.data() + text.size();
            const auto [last, error] = std::from_chars(text.data(), end, value);
            const std::string_view unit(last, end);
            const double factor = unit.empty() || unit == "B" ? 1
                                  : unit == "KB"              ? 1e3
                                  : unit == "MB"              ? 1e6
                                  : unit == "GB"              ? 1e9
                                                              : 0;
            const bool is_size = value >= 0 && value * factor <= kSizeMax;  // and a number
            if (error != std::errc() || factor == 0 || !is_size)
              return fmt::format(
                  "'{}' is not a size: a number, and KB, MB or GB, as in 20MB, of 1 PB at most",
                  printable(text));
            text = fmt::format("{}", value * factor);
            return {};
          },
          "SIZE"};
}

Work chosen_work(const CapacityOptions& options, Work work) {
  const auto take = [](double& into, const std::optional<double>& value) {
    if (value) into = *value;
  };
  take(work.nodes, options.nodes);
  take(work.ledgers, options.ledgers);
  take(work.ledgers_per_node, options.ledgers_per_node);
  take(work.model_bytes, options.model_bytes);
  take(work.delta_bytes, options.delta_bytes);
  take(work.publishes_per_hour, options.publishes_per_hour);
  take(work.decisions_per_second, options.decisions_per_second);
  take(work.record_bytes, options.record_bytes);
  take(work.freshness_interval_s, options.freshness_interval_s);
  return work;
}

std::string unit_name(Unit unit) {
  switch (unit) {
    case Unit::kCores:
      return "cores";
    case Unit::kCoreSeconds:
      return "core-seconds";
    case Unit::kBytes:
      return "bytes";
    case Unit::kBytesPerSecond:
      return "bytes/s";
    case Unit::kCount:
      break;
  }
  return "";
}

std::string amount(double value, Unit unit) {
  switch (unit) {
    case Unit::kCores:
      return fmt::format("{:.3g} cores", value);
    case Unit::kCoreSeconds:
      return fmt::format("{:.3g} s of a core", value);
    case Unit::kBytes:
      return size_text(whole(value));
    case Unit::kBytesPerSecond:
      return size_text(whole(value)) + "/s";
    case Unit::kCount:
      break;
  }
  return human_count(whole(value));
}

std::string work_text(const Work& work) {
  const auto count = [](double value) {
    return value >= 100 ? human_count(whole(value)) : fmt::format("{:.3g}", value);
  };
  const auto bytes = [](double value) { return size_text(whole(value)); };
  return facts(
      {{"nodes", count(work.nodes)},
       {"ledgers", fmt::format("{}, {} at a node, of {}", count(work.ledgers),
                               count(work.ledgers_per_node), bytes(work.model_bytes))},
       {"publishes",
        fmt::format("{} an hour, of {}", count(work.publishes_per_hour), bytes(work.delta_bytes))},
       {"decisions", fmt::format("{} a second at each node, records of {}",
                                 count(work.decisions_per_second), bytes(work.record_bytes))},
       {"freshness", fmt::format("every {} s", count(work.freshness_interval_s))}});
}

std::string needs_text(const Output& output, const std::vector<Need>& needs, bool explain) {
  std::vector<std::vector<std::string>> rows{{"NEED", "AMOUNT", explain ? "FORMULA" : "WHAT"}};
  for (const Need& need : needs) {
    rows.push_back(
        {std::string(need.name), amount(need.sum(), need.unit), std::string(need.about)});
    if (!explain) continue;
    for (const Term& term : need.terms)
      rows.push_back({fmt::format("  {}", term.what), "  " + amount(term.value, need.unit),
                      std::string(term.formula)});
  }
  return table(output, rows);
}

std::string coefficients_text(const Output& output, const Coefficients& costs) {
  std::string text = fmt::format("\n{}\n{}\n\n", kReachedFormula, kSizeFormula);
  std::vector<std::vector<std::string>> rows{{"COEFFICIENT", "VALUE", "OF"}};
  for (const auto& [name, one] : costs.all()) {
    rows.push_back({name, fmt::format("{} {}", one.value, one.unit), one.of});
    rows.push_back({"", "", "  " + one.measured});
  }
  return text + table(output, rows);
}

json::object work_json(const Work& work) {
  return {{"nodes", work.nodes},
          {"ledgers", work.ledgers},
          {"ledgers_per_node", work.ledgers_per_node},
          {"model_bytes", work.model_bytes},
          {"delta_bytes", work.delta_bytes},
          {"publishes_per_hour", work.publishes_per_hour},
          {"decisions_per_second", work.decisions_per_second},
          {"record_bytes", work.record_bytes},
          {"freshness_interval_s", work.freshness_interval_s}};
}

json::object needs_json(const std::vector<Need>& needs, bool explain) {
  json::object out;
  for (const Need& need : needs) {
    json::object row{{"value", need.sum()}, {"unit", unit_name(need.unit)}, {"about", need.about}};
    if (explain) {
      json::array terms;
      for (const Term& term : need.terms)
        terms.push_back(
            json::object{{"what", term.what}, {"formula", term.formula}, {"value", term.value}});
      row["terms"] = std::move(terms);
    }
    out[need.name] = std::move(row);
  }
  return out;
}

json::object coefficients_json(const Coefficients& costs) {
  json::object out;
  for (const auto& [name, one] : costs.all())
    out[name] = json::object{
        {"value", one.value}, {"unit", one.unit}, {"of", one.of}, {"measured", one.measured}};
  return out;
}

Result<Coefficients> chosen_costs(const CapacityOptions& options) {
  NOTP_ASSIGN(Coefficients costs, Coefficients::built_in());
  for (const std::string& path : options.runs) {
    NOTP_ASSIGN(const Bytes text, read_file(path, kRunBytesMax));
    auto run = parse_json(text);
    if (!run) return std::unexpected(std::move(run).error().in(path));
    if (auto taken = take_run(costs, *run); !taken)
      return std::unexpected(std::move(taken).error().in(path));
  }
  return costs;
}

Result<int> run_capacity(const Context& context, const CapacityOptions& options) {
  NOTP_ASSIGN(const Coefficients costs, chosen_costs(options));
  if (options.print_coefficients) {
    NOTP_ASSIGN(const json::value document, parse_json(costs.text()));
    context.output.result(costs.text(), document);
    return exit_code::kOk;
  }
  Work work{.record_bytes = costs["measured_record_bytes"]};
  if (options.from_registry) {
    NOTP_ASSIGN(StatusFeed feed, StatusFeed::open(context));
    NOTP_ASSIGN(const wire::RegistryStatus status, feed.ask_first());
    work = work_of(status, work);
  }
  work = chosen_work(options, work);
  const std::vector<Need> registry = registry_needs(work, costs), node = node_needs(work, costs);
  const Output& output = context.output;
  std::string text = work_text(work) + "\n" + output.paint(Colour::kBold, "One registry") + "\n" +
                     needs_text(output, registry, options.explain) + "\n" +
                     output.paint(Colour::kBold, "One node") + "\n" +
                     needs_text(output, node, options.explain);
  json::object document{{"work", work_json(work)},
                        {"registry", needs_json(registry, options.explain)},
                        {"node", needs_json(node, options.explain)}};
  if (options.explain) {
    text += coefficients_text(output, costs);
    document["abbreviations"] = json::array{kReachedFormula, kSizeFormula};
    document["coefficients"] = coefficients_json(costs);
  }
  output.result(text, document);
  return exit_code::kOk;
}

void add_number(CLI::App& command, const char* name, std::optional<double>& into, const char* about,
                double least) {
  // CLI::Range takes "nan".
  const auto is_number = [](const std::string& text) -> std::string {
    return text.find_first_of("nN") == std::string::npos ? "" : printable(text) + " is no number";
  };
  command.add_option(name, into, about)
      ->check(CLI::Range(least, 1e9))
      ->check(is_number)
      ->type_name("N");
}

void add_size(CLI::App& command, const char* name, std::optional<double>& into, const char* about) {
  command.add_option(name, into, about)->transform(size_in_bytes());
}

}  // namespace

void add_capacity(Commands& commands) {
  commands.add<CapacityOptions>(
      commands.root(), "capacity", "Reckon what a registry and a node need",
      [](CLI::App& command, CapacityOptions& options) {
        add_number(command, "--nodes", options.nodes, "How many nodes (default: 10000)", 1);
        add_number(command, "--ledgers", options.ledgers, "Of the registry (default: 10)", 1);
        add_number(command, "--ledgers-per-node", options.ledgers_per_node,
                   "That one node has (default: 1)", 0.001);
        add_size(command, "--model-bytes", options.model_bytes, "Of one ledger (default: 1MB)");
        add_size(command, "--delta-bytes", options.delta_bytes,
                 "Of one release as it is pushed (default: 1KB)");
        add_number(command, "--publishes-per-hour", options.publishes_per_hour,
                   "Of all ledgers together (default: 60)", 0);
        add_number(command, "--decisions-per-second", options.decisions_per_second,
                   "At one node (default: 1)", 0);
        add_size(command, "--record-bytes", options.record_bytes,
                 "Of one decision's record, before it is compressed (default: as measured)");
        command
            .add_option("--freshness-interval", options.freshness_interval_s,
                        "Between two statements to a node (default: 30s)")
            ->transform(duration_in_seconds())
            ->check(CLI::Range(1.0, 1e6));
        command.add_flag("--from-registry", options.from_registry,
                         "Take from the registry what no option says: nodes, ledgers, deltas, and "
                         "rates since its start");
        command
            .add_option("--from", options.runs,
                        "Reckon with what notp-bench fanout, idle or reconnect measured on your "
                        "machine: what it wrote with --json")
            ->type_name("FILE");
        command.add_flag("--print-coefficients", options.print_coefficients,
                         "Print the coefficients with their measurements, and nothing else");
        command.add_flag("--explain", options.explain,
                         "Also print the formulas, and each coefficient with its measurement");
        command.footer(
            "Memory is without the kernel's buffers. The figures are for steady work on the "
            "machine\nthat was measured; add what the machine does besides.");
      },
      run_capacity);
}

}  // namespace notp::cli
