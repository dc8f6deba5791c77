"""Search inside one network: differentiable methods put together from a relaxation, losses, a schedule, a discretisation."""
