"""What auditors do at an agency: opening questions, telling of one child, handing a log out."""
