// Collects all metrics of a program for Prometheus.
#pragma once

#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace notp {

// One of the samples of a family, with the values of its labels: of a fixed list or of LabelValues.
struct MetricSample {
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

// Families for one scrape.
class MetricFamilies {
 public:
  // `name` begins with "notp_"; a counter's ends with "_total". `help` is for people.
  void counter(const char* name, const char* help, uint64_t value);
  void gauge(const char* name, const char* help, uint64_t value);
  // A counter or gauge of several samples, each with other labels.
  void counters(const char* name, const char* help, const std::vector<MetricSample>& samples);
  void gauges(const char* name, const char* help, const std::vector<MetricSample>& samples);

  std::vector<prometheus::MetricFamily> take() { return std::move(families_); }

 private:
  prometheus::MetricFamily& family(const char* name, const char* help, prometheus::MetricType type);
  prometheus::ClientMetric& add(const char* name, const char* help, prometheus::MetricType type);

  std::vector<prometheus::MetricFamily> families_;
};

// Each component adds its metrics once, at the start; a name belongs to one component.
class MetricsRegistry {
 public:
  using Source = std::function<void(MetricFamilies&)>;

  // For counters that a component keeps anyway: `source` is called at each scrape, by the thread
  // that answers it. The data that it reads must outlive the last scrape. Not after the first one.
  void add(Source source) { sources_.push_back(std::move(source)); }
  // For metrics that are updated at their events, with labels. Thread-safe.
  const std::shared_ptr<prometheus::Registry>& families() const { return families_; }

  // Returns all metrics in Prometheus's text format, version 0.0.4. Thread-safe.
  std::string text() const;

 private:
  std::vector<Source> sources_;
  const std::shared_ptr<prometheus::Registry> families_ = std::make_shared<prometheus::Registry>();
};

}  // namespace notp
