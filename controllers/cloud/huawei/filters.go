package huawei

import (
	"context"

	vpc "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

// ListFilters returns every filter of the account with its rules.
func (c *client) ListFilters(ctx context.Context) ([]cloud.Filter, error) {
	limit := c.factory.page(pageOfFilters)
	filters, err := readPages(ctx, c.caller, "ListTrafficMirrorFilters", &limit, filterOf,
		func(hc *exchange, marker *string) (*[]model.TrafficMirrorFilter, *model.PageInfo, error) {
			answer, err := ask[model.ListTrafficMirrorFiltersResponse](hc,
				&model.ListTrafficMirrorFiltersRequest{Limit: &limit, Marker: marker}, vpc.GenReqDefForListTrafficMirrorFilters())
			if err != nil {
				return nil, nil, err
			}
			return answer.TrafficMirrorFilters, answer.PageInfo, nil
		})
	return unique(filters, func(f cloud.Filter) string { return f.ID }), err
}

// GetFilter returns one filter with its rules.
func (c *client) GetFilter(ctx context.Context, id string) (cloud.Filter, error) {
	const op = "ShowTrafficMirrorFilter"
	if err := checkIDs(op, id); err != nil {
		return cloud.Filter{}, err
	}
	var filter cloud.Filter
	err := c.vpc(ctx, op, read, func(v *vpc.VpcClient) error {
		answer, err := v.ShowTrafficMirrorFilter(&model.ShowTrafficMirrorFilterRequest{TrafficMirrorFilterId: id})
		if err != nil {
			return err
		}
		filter, err = filterOf(answer.TrafficMirrorFilter)
		return err
	})
	return filter, err
}

// CreateFilter makes a filter without rules.
func (c *client) CreateFilter(ctx context.Context, name, description string) (cloud.Filter, error) {
	var filter cloud.Filter
	err := c.vpc(ctx, "CreateTrafficMirrorFilter", write, func(v *vpc.VpcClient) error {
		answer, err := v.CreateTrafficMirrorFilter(&model.CreateTrafficMirrorFilterRequest{
			Body: &model.CreateTrafficMirrorFilterRequestBody{
				TrafficMirrorFilter: &model.CreateTrafficMirrorFilterOption{Name: name, Description: &description},
			},
		})
		if err != nil {
			return err
		}
		filter, err = filterOf(answer.TrafficMirrorFilter)
		return err
	})
	return filter, err
}

// UpdateFilter changes the given fields.
func (c *client) UpdateFilter(ctx context.Context, id string, update cloud.FilterUpdate) error {
	const op = "UpdateTrafficMirrorFilter"
	if err := checkIDs(op, id); err != nil {
		return err
	}
	return c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		answer, err := v.UpdateTrafficMirrorFilter(&model.UpdateTrafficMirrorFilterRequest{
			TrafficMirrorFilterId: id,
			Body: &model.UpdateTrafficMirrorFilterRequestBody{
				TrafficMirrorFilter: &model.UpdateTrafficMirrorFilterOption{Name: update.Name, Description: update.Description},
			},
		})
		if err != nil {
			return err
		}
		if answer.TrafficMirrorFilter == nil {
			return empty("filter")
		}
		return nil
	})
}

// DeleteFilter removes a filter and its rules.
func (c *client) DeleteFilter(ctx context.Context, id string) error {
	const op = "DeleteTrafficMirrorFilter"
	if err := checkIDs(op, id); err != nil {
		return err
	}
	return c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		_, err := v.DeleteTrafficMirrorFilter(&model.DeleteTrafficMirrorFilterRequest{TrafficMirrorFilterId: id})
		return err
	})
}

// CreateRule adds a rule to a filter and returns it with its ID.
func (c *client) CreateRule(ctx context.Context, filterID string, rule cloud.RuleSpec) (cloud.Rule, error) {
	const op = "CreateTrafficMirrorFilterRule"
	if err := checkIDs(op, filterID); err != nil {
		return cloud.Rule{}, err
	}
	w, err := wireRule(op, rule)
	if err != nil {
		return cloud.Rule{}, err
	}
	var created cloud.Rule
	err = c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		answer, err := v.CreateTrafficMirrorFilterRule(&model.CreateTrafficMirrorFilterRuleRequest{
			Body: &model.CreateTrafficMirrorFilterRuleRequestBody{
				TrafficMirrorFilterRule: &model.CreateTrafficMirrorFilterRuleOption{
					TrafficMirrorFilterId: filterID,
					Direction:             w.direction,
					Description:           &rule.Description,
					Protocol:              w.protocol,
					Ethertype:             w.ethertype,
					SourceCidrBlock:       w.source,
					DestinationCidrBlock:  w.destination,
					SourcePortRange:       w.sourcePorts,
					DestinationPortRange:  w.destinationPorts,
					Action:                w.action,
					Priority:              w.priority,
				},
			},
		})
		if err != nil {
			return err
		}
		if answer.TrafficMirrorFilterRule == nil {
			return empty("rule")
		}
		created, err = ruleOf(answer.TrafficMirrorFilterRule, rule.Direction)
		return err
	})
	return created, err
}

// UpdateRule changes a rule in place and sends every field that rule has.
func (c *client) UpdateRule(ctx context.Context, id string, rule cloud.RuleSpec) error {
	const op = "UpdateTrafficMirrorFilterRule"
	if err := checkIDs(op, id); err != nil {
		return err
	}
	w, err := wireRule(op, rule)
	if err != nil {
		return err
	}
	return c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		answer, err := v.UpdateTrafficMirrorFilterRule(&model.UpdateTrafficMirrorFilterRuleRequest{
			TrafficMirrorFilterRuleId: id,
			Body: &model.UpdateTrafficMirrorFilterRuleRequestBody{
				TrafficMirrorFilterRule: &model.UpdateTrafficMirrorFilterRuleOption{
					Description:          &rule.Description,
					Protocol:             &w.protocol,
					Ethertype:            &w.ethertype,
					SourceCidrBlock:      w.source,
					DestinationCidrBlock: w.destination,
					SourcePortRange:      w.sourcePorts,
					DestinationPortRange: w.destinationPorts,
					Priority:             &w.priority,
					Action:               &w.action,
				},
			},
		})
		if err != nil {
			return err
		}
		if answer.TrafficMirrorFilterRule == nil {
			return empty("rule")
		}
		return nil
	})
}

// DeleteRule removes a rule.
func (c *client) DeleteRule(ctx context.Context, id string) error {
	const op = "DeleteTrafficMirrorFilterRule"
	if err := checkIDs(op, id); err != nil {
		return err
	}
	return c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		_, err := v.DeleteTrafficMirrorFilterRule(&model.DeleteTrafficMirrorFilterRuleRequest{TrafficMirrorFilterRuleId: id})
		return err
	})
}
