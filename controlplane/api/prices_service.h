// gRPC: Prices. Thin: input checks and pages over PriceStore. Thread-safe; what it refers to outlives it.
#pragma once

#include "controlplane/api/operator_services.h"
#include "signalbox/v1/gateway.grpc.pb.h"

namespace signalbox {

class PricesService : public v1::Prices::Service {
 public:
  explicit PricesService(const OperatorDeps& deps) : deps_(deps) {}
  grpc::Status GetPrice(grpc::ServerContext* context, const v1::GetPriceRequest* request,
                        v1::ModelPrice* response) override;
  grpc::Status ListPrices(grpc::ServerContext* context, const v1::ListPricesRequest* request,
                          v1::ListPricesResponse* response) override;
  grpc::Status SetPrice(grpc::ServerContext* context, const v1::SetPriceRequest* request,
                        v1::ModelPrice* response) override;
  grpc::Status GetPriceCatalogue(grpc::ServerContext* context, const v1::GetPriceCatalogueRequest* request,
                                 v1::PriceCatalogueStatus* response) override;
  grpc::Status RefreshPrices(grpc::ServerContext* context, const v1::RefreshPricesRequest* request,
                             v1::PriceCatalogueStatus* response) override;

 private:
  const OperatorDeps& deps_;
};

}  // namespace signalbox
