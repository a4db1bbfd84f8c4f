// A real Prometheus that scrapes programs of a test once a second.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>

#include "common/http/client.hpp"
#include "common/percent.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

class Prometheus {
 public:
  // Scrapes /metrics of these "host:port", by job, and evaluates the rules once a second. Its data
  // is in the stack's folder.
  Prometheus(const Stack& stack, const std::map<std::string, json::array>& jobs,
             const std::filesystem::path& rules)
      : url_(fmt::format("http://127.0.0.1:{}", free_port())) {
    json::array scraped;
    for (const auto& [job, targets] : jobs)
      scraped.push_back(
          {{"job_name", job}, {"static_configs", json::array{json::object{{"targets", targets}}}}});
    const auto config = stack.file("prometheus.yml");
    must(write_file(config,
                    pretty_json(json::object{
                        {"global", {{"scrape_interval", "1s"}, {"evaluation_interval", "1s"}}},
                        {"rule_files", json::array{rules.string()}},
                        {"scrape_configs", std::move(scraped)}})));
    const auto log = stack.file("prometheus.log");
    process_ = std::make_unique<Process>(
        ProcessOptions{.command = {"prometheus", "--config.file", config, "--storage.tsdb.path",
                                   stack.file("prometheus"), "--web.listen-address", url_.substr(7),
                                   "--log.level", "warn"},
                       .folder = stack.folder(),
                       .environment = {{"GOMAXPROCS", "2"}},
                       .output_file = log,
                       .error_file = log});
    const bool is_ready = wait_until([&] {
      const auto answer = http::call_blocking({.url = url_ + "/-/ready"});
      return !process_->is_running() || (answer && answer->status == 200);
    });
    if (!is_ready || !process_->is_running())
      throw std::runtime_error("prometheus does not start (tools/install-dependencies has it): " +
                               process_->error());
  }

  // The samples of an instant query; `error` is set when Prometheus refuses it.
  struct Answer {
    json::array samples;
    std::string error;
  };
  Answer query(const std::string& expression) const {
    const json::value body = get("/api/v1/query?query=" + percent_encode(expression));
    if (text_at(body, "status") != "success") return {{}, text_at(body, "error")};
    const json::value& result = at(body, "data.result");
    return {result.is_array() ? result.get_array() : json::array(), {}};
  }
  // The value of an expression with one sample; nullopt: it has none, or several.
  std::optional<double> value(const std::string& expression) const {
    const Answer answer = query(expression);
    if (answer.samples.size() != 1) return std::nullopt;
    return std::stod(std::string(answer.samples[0].at("value").at(1).as_string()));
  }
  // Waits until the expression has this value; the message has the last one.
  void check_value(const std::string& expression, double expected) const {
    std::optional<double> last;
    const bool holds = wait_until([&] { return (last = value(expression)) == expected; });
    CHECK_MESSAGE(holds, expression << " is " << last.value_or(-1) << ", not " << expected);
  }
  // The names of all series.
  json::array names() const { return data("/api/v1/label/__name__/values"); }
  // Every rule: name, query, health, lastError, type.
  json::array rules() const {
    json::array out;
    const json::value body = get("/api/v1/rules");
    for (const json::value& group : at(body, "data.groups").as_array())
      for (const json::value& rule : at(group, "rules").as_array()) out.push_back(rule);
    return out;
  }

 private:
  json::value get(const std::string& path) const {
    const auto answer = must(http::call_blocking({.url = url_ + path, .deadline_ms = 20'000}));
    return must(parse_json(answer.body));
  }
  json::array data(const std::string& path) const {
    const json::value body = get(path);
    return at(body, "data").as_array();
  }

  const std::string url_;
  std::unique_ptr<Process> process_;
};

}  // namespace notp
