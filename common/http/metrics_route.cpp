#include "common/http/metrics_route.hpp"

namespace notp::http {

Response metrics_response(const MetricsRegistry& metrics) {
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics.text();
  response.may_compress = true;
  return response;
}

}  // namespace notp::http
